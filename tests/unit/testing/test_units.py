"""The stand-ins for a database follow the rules of a unit of work, and count."""

import pytest

from events_core import AggregateRoot, AsyncMessageBus, Command, DomainEvent, IntegrationEvent, MessageBus, Topic
from events_core.domain import EventStream, RecordingSink, Status
from events_core.testing import AsyncFakeRepository, AsyncFakeUnitOfWork, FakeRepository, FakeUnitOfWork

pytestmark = pytest.mark.anyio


class AddBook(Command):
    title: str


class BookAdded(DomainEvent, published=True):
    title: str


class ShelfFilled(IntegrationEvent):
    type = "testing.shelf_filled"
    version = 1


class Book(AggregateRoot):
    def __init__(self, title: str) -> None:
        self.title = title
        self.publish_event(BookAdded(title=title))


class Library(FakeUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.books: FakeRepository[Book, str] = FakeRepository(self.seen, key=lambda each: each.title)


class AsyncLibrary(AsyncFakeUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.books: FakeRepository[Book, str] = FakeRepository(self.seen, key=lambda each: each.title)


def add(command: AddBook, uow: Library | AsyncLibrary) -> None:
    uow.books.add(Book(command.title))
    uow.emit(ShelfFilled())


def test_a_fake_unit_shows_what_was_committed_and_published() -> None:
    uow = Library()
    MessageBus({AddBook: add}).handle(AddBook(title="Dune"), uow)
    assert (uow.committed, uow.commits, uow.rollbacks) == (True, 1, 0)
    assert uow.published == [BookAdded(title="Dune"), ShelfFilled()]


def test_a_fake_unit_shows_what_was_rolled_back() -> None:
    uow = Library()
    with uow:
        add(AddBook(title="Dune"), uow)
    assert (uow.committed, uow.commits, uow.rollbacks) == (False, 0, 1)
    assert uow.published == []
    assert uow.status is Status.ROLLED_BACK


async def test_the_asynchronous_one_does_the_same() -> None:
    uow = AsyncLibrary()
    await AsyncMessageBus({AddBook: add}).handle(AddBook(title="Dune"), uow)
    async with uow:
        add(AddBook(title="Emma"), uow)
    assert (uow.committed, uow.commits, uow.rollbacks) == (True, 1, 1)
    assert uow.published == [BookAdded(title="Dune"), ShelfFilled()]


def test_a_fake_repository_stores_by_key_and_tells_what_it_has_seen() -> None:
    uow, dune = Library(), Book("Dune")
    uow.books.add(dune)
    assert uow.books.get("Dune") is dune
    assert uow.books.get("Emma") is None
    assert (list(uow.books), len(uow.books)) == ([dune], 1)
    assert [each.message for each in uow.seen.pop_events()] == [BookAdded(title="Dune")]


def test_a_stream_from_elsewhere_is_taken() -> None:
    sink = RecordingSink()
    uow = FakeUnitOfWork(stream=EventStream(sink, Topic("books")))
    with uow:
        uow.emit(ShelfFilled())
        uow.commit()
    assert sink.events == [ShelfFilled()]
    assert uow.published == []


def test_what_is_reached_by_iterating_is_seen_as_well() -> None:
    uow, dune = Library(), Book("Dune")
    uow.books.add(dune)
    with uow:
        uow.commit()
    with uow:
        for book in uow.books:
            book.publish_event(BookAdded(title="again"))
        uow.commit()
    assert uow.published == [BookAdded(title="Dune"), BookAdded(title="again")]


async def test_a_repository_whose_loading_is_awaited_does_the_same() -> None:
    uow, dune = AsyncFakeUnitOfWork(), Book("Dune")
    books: AsyncFakeRepository[Book, str] = AsyncFakeRepository(uow.seen, key=lambda each: each.title)
    books.add(dune)
    assert await books.get("Dune") is dune
    assert await books.get("Emma") is None
    assert ([each async for each in books], len(books)) == ([dune], 1)
    assert [each.message for each in uow.seen.pop_events()] == [BookAdded(title="Dune")]


async def test_a_fake_unit_may_have_a_bus() -> None:
    titles: list[str] = []

    def note(event: BookAdded) -> None:
        titles.append(event.title)

    with FakeUnitOfWork(bus=MessageBus({BookAdded: note})) as uow:
        uow.emit(BookAdded(title="Dune"))
        uow.commit()
    async with AsyncFakeUnitOfWork(bus=AsyncMessageBus({BookAdded: note})) as unit:
        unit.emit(BookAdded(title="Emma"))
        await unit.commit()
    assert titles == ["Dune", "Emma"]
