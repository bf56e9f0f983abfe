"""One function a use case; the bus finds them by their mark, and what they handle by the first annotation.

They wait for nothing, so the sync bus and the async one take the same functions.
"""

from events_core.domain import listen
from examples.reading_club.domain.book import Book
from examples.reading_club.domain.commands import RegisterBook, ReviewBook
from examples.reading_club.domain.errors import AlreadyRegistered, UnknownBook
from examples.reading_club.domain.events import BookRegistered
from examples.reading_club.service.ports import Club


@listen
def register_book(command: RegisterBook, uow: Club) -> None:
    if uow.books.get(command.isbn) is not None:
        raise AlreadyRegistered(command.isbn)
    uow.books.add(Book.register(command.isbn, command.title))


@listen
def put_on_reading_list(event: BookRegistered, uow: Club) -> None:
    uow.reading_list.add(event.isbn)


@listen
def review_book(command: ReviewBook, uow: Club) -> float:
    book = uow.books.get(command.isbn)
    if book is None:
        raise UnknownBook(command.isbn)
    uow.reading_list.discard(command.isbn)
    return book.review(command.reader, command.stars)
