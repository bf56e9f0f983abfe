"""Repositories and units of work in memory that undo what is rolled back: a unit works on copies."""

from copy import deepcopy
from dataclasses import dataclass, field

from events_core import AsyncUnitOfWork, UnitOfWork
from events_core.domain import EventStream, Repository, Seen
from examples.reading_club.domain.book import Book


@dataclass(slots=True)
class Library:
    """What is kept."""

    books: dict[str, Book] = field(default_factory=dict[str, Book])
    reading_list: set[str] = field(default_factory=set[str])


class MemoryBooks(Repository[Book]):
    """The books of a library. What is loaded is a copy, until it is kept."""

    def __init__(self, seen: Seen, stored: dict[str, Book]) -> None:
        super().__init__(seen)
        self._stored = stored
        self._loaded: dict[str, Book] = {}

    def add(self, book: Book) -> None:
        self._loaded[book.isbn] = self.see(book)

    def get(self, isbn: str) -> Book | None:
        if isbn not in self._loaded and isbn in self._stored:
            self.add(deepcopy(self._stored[isbn]))
        return self._loaded.get(isbn)

    def keep(self) -> None:
        self._stored |= self._loaded


class Desk:
    """The repositories of one unit of work."""

    def __init__(self, library: Library, seen: Seen) -> None:
        self._library = library
        self.books: MemoryBooks = MemoryBooks(seen, library.books)
        self.reading_list: set[str] = set(library.reading_list)

    def keep(self) -> None:
        self.books.keep()
        self._library.reading_list = self.reading_list


class MemoryClub(UnitOfWork):
    """The unit of work of the club; its stream takes what others are told."""

    def __init__(self, library: Library, stream: EventStream) -> None:
        super().__init__(stream=stream)
        self._library = library

    @property
    def books(self) -> MemoryBooks:
        return self._desk.books

    @property
    def reading_list(self) -> set[str]:
        return self._desk.reading_list

    def _begin(self) -> None:
        self._desk = Desk(self._library, self.seen)

    def _commit(self) -> None:
        self._desk.keep()

    def _rollback(self) -> None:
        """The copies are dropped with the next beginning."""


class AsyncMemoryClub(AsyncUnitOfWork):
    """The same, asynchronous: with a database its methods would wait for it."""

    def __init__(self, library: Library, stream: EventStream) -> None:
        super().__init__(stream=stream)
        self._library = library

    @property
    def books(self) -> MemoryBooks:
        return self._desk.books

    @property
    def reading_list(self) -> set[str]:
        return self._desk.reading_list

    async def _begin(self) -> None:
        self._desk = Desk(self._library, self.seen)

    async def _commit(self) -> None:
        self._desk.keep()

    async def _rollback(self) -> None:
        """The copies are dropped with the next beginning."""
