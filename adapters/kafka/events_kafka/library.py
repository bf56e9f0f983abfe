"""What is used of the client library, with types: it has none of its own."""

# ruff: noqa: D102 the library documents its methods

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from aiokafka import TopicPartition  # type: ignore[import-untyped]
from aiokafka.abc import ConsumerRebalanceListener  # type: ignore[import-untyped]

__all__ = ["Batch", "Client", "Connection", "Consumer", "Listener", "Partition", "Producer", "Record", "partition_of"]


class Partition(Protocol):
    """One of a topic's."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    def __hash__(self) -> int: ...


class Record(Protocol):
    """What a partition holds at an offset."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Client(Protocol):
    """Any of them."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Consumer(Client, Protocol):
    """Reads partitions: assigned by a group, or by hand."""

    def assign(self, partitions: Iterable[Partition]) -> None: ...
    def assignment(self) -> frozenset[Partition]: ...
    def subscribe(self, topics: Sequence[str], *, listener: "Listener") -> None: ...
    def partitions_for_topic(self, topic: str) -> set[int] | None: ...
    def seek(self, partition: Partition, offset: int) -> None: ...
    async def position(self, partition: Partition) -> int: ...
    async def commit(self, offsets: Mapping[Partition, tuple[int, str]]) -> None: ...
    async def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]: ...
    async def end_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]: ...
    async def getmany(
        self, *partitions: Partition, timeout_ms: int, max_records: int | None = None
    ) -> dict[Partition, list[Record]]: ...


class Batch(Protocol):
    """Records for one partition, written at once."""

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> object | None: ...


class Producer(Client, Protocol):
    """Writes batches."""

    def create_batch(self) -> Batch: ...
    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[object]": ...
    async def partitions_for(self, topic: str) -> set[int]: ...


class Connection(Protocol):
    """To one broker."""

    async def connect(self) -> object: ...
    def close(self) -> "asyncio.Future[None] | None": ...
    def send(self, request: object) -> "Awaitable[Any]": ...


class Listener:
    """Hears of the group's rebalances."""

    def __init__(
        self,
        revoked: Callable[[frozenset[Partition]], Coroutine[Any, Any, None]],
        assigned: Callable[[frozenset[Partition]], None],
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: set[Partition]) -> None:
        """Before; the rebalance waits."""
        await self._revoked(frozenset(revoked))

    def on_partitions_assigned(self, assigned: set[Partition]) -> None:
        """Afterwards."""
        self._assigned(frozenset(assigned))


# The library looks whether a listener is one of its own.
ConsumerRebalanceListener.register(Listener)


def partition_of(topic: str, number: int) -> Partition:
    """The partition of this name."""
    return cast("Partition", TopicPartition(topic, number))
