"""What the handlers need from outside, as they see it."""

from typing import Protocol

from examples.reading_club.domain.book import Book


class Books(Protocol):
    def add(self, book: Book) -> None: ...

    def get(self, isbn: str) -> Book | None: ...


class ReadingList(Protocol):
    """Books that nobody has reviewed yet."""

    def add(self, isbn: str) -> None: ...

    def discard(self, isbn: str) -> None: ...


class Club(Protocol):
    """The unit of work of the club. Whoever calls the bus begins and commits it."""

    @property
    def books(self) -> Books: ...

    @property
    def reading_list(self) -> ReadingList: ...
