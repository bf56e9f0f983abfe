"""Stand-ins for a database: units of work that count, and repositories that are dictionaries."""

from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from typing import Generic, TypeVar

from events_core.domain import (
    AsyncMessageBus,
    AsyncUnitOfWork,
    EventStream,
    MessageBus,
    RecordingSink,
    Repository,
    Seen,
    UnitOfWork,
)
from events_core.messages import DomainEvent, IntegrationEvent
from events_core.ports import Topic

__all__ = ["AsyncFakeRepository", "AsyncFakeUnitOfWork", "FakeRepository", "FakeUnitOfWork"]

A = TypeVar("A")
K = TypeVar("K", bound=Hashable)

_ANYWHERE = Topic("anywhere")


class FakeRepository(Repository[A], Generic[A, K]):
    """Aggregates in memory, by what `key` says of them. Nothing is undone by a rollback."""

    def __init__(self, seen: Seen, key: Callable[[A], K]) -> None:
        super().__init__(seen)
        self._key = key
        self._stored: dict[K, A] = {}

    def add(self, aggregate: A) -> None:
        """Store an aggregate, in place of one with the same key."""
        self._stored[self._key(aggregate)] = self.see(aggregate)

    def get(self, key: K) -> A | None:
        """The aggregate with this key."""
        found = self._stored.get(key)
        return None if found is None else self.see(found)

    def __iter__(self) -> Iterator[A]:
        return iter([self.see(each) for each in self._stored.values()])

    def __len__(self) -> int:
        return len(self._stored)


class AsyncFakeRepository(Repository[A], Generic[A, K]):
    """The same as `FakeRepository`, where loading is awaited: `await get(key)`, `async for`."""

    def __init__(self, seen: Seen, key: Callable[[A], K]) -> None:
        super().__init__(seen)
        self._stored: FakeRepository[A, K] = FakeRepository(seen, key)

    def add(self, aggregate: A) -> None:
        """Store an aggregate, in place of one with the same key."""
        self._stored.add(aggregate)

    async def get(self, key: K) -> A | None:
        """The aggregate with this key."""
        return self._stored.get(key)

    async def __aiter__(self) -> AsyncIterator[A]:
        for each in self._stored:
            yield each

    def __len__(self) -> int:
        return len(self._stored)


class FakeUnitOfWork(UnitOfWork):
    """A unit of work without a database: it follows all rules, and counts.

    Derive from it to give it repositories: `FakeRepository(self.seen, key=...)`.
    """

    def __init__(self, *, stream: EventStream | None = None, bus: MessageBus | None = None) -> None:
        self._sink = RecordingSink()
        super().__init__(stream=stream or EventStream(self._sink, _ANYWHERE), bus=bus)
        self.commits: int = 0
        self.rollbacks: int = 0

    @property
    def committed(self) -> bool:
        """Whether it has committed, once at least."""
        return self.commits > 0

    @property
    def published(self) -> list[IntegrationEvent | DomainEvent]:
        """What has left with a commit, in order; empty where the stream came from elsewhere."""
        return self._sink.events

    def _begin(self) -> None:
        """Nothing has to begin."""

    def _commit(self) -> None:
        self.commits += 1

    def _rollback(self) -> None:
        self.rollbacks += 1


class AsyncFakeUnitOfWork(AsyncUnitOfWork):
    """The same as `FakeUnitOfWork`, asynchronous."""

    def __init__(self, *, stream: EventStream | None = None, bus: AsyncMessageBus | None = None) -> None:
        self._sink = RecordingSink()
        super().__init__(stream=stream or EventStream(self._sink, _ANYWHERE), bus=bus)
        self.commits: int = 0
        self.rollbacks: int = 0

    @property
    def committed(self) -> bool:
        """Whether it has committed, once at least."""
        return self.commits > 0

    @property
    def published(self) -> list[IntegrationEvent | DomainEvent]:
        """What has left with a commit, in order; empty where the stream came from elsewhere."""
        return self._sink.events

    async def _begin(self) -> None:
        """Nothing has to begin."""

    async def _commit(self) -> None:
        self.commits += 1

    async def _rollback(self) -> None:
        self.rollbacks += 1
