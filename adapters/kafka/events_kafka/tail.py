"""A topic that is read by hand: by no group, and committed nowhere."""

from collections.abc import Callable, Sequence
from typing import Final

from events_core.errors import ConnectionLost, EventsError
from events_kafka.clients import Clients
from events_kafka.errors import translated
from events_kafka.library import Partition, Record

__all__ = ["Tail"]

_LOOK_MS: Final = 200
_AT_ONCE: Final = 500


class Tail:
    """Everything in it ends in time, with the core's errors."""

    def __init__(self, clients: Clients, topic: str, *, reset: str = "earliest") -> None:
        self._clients = clients
        self._topic = topic
        self._consumer = clients.consumer(reset=reset)
        self._partitions: Sequence[Partition] = ()
        self._lost: str | None = None
        self.topics: frozenset[str] = frozenset({topic})
        self.over: bool = False
        """Whether nothing has to be closed any more."""

    async def open(self, partitions: Sequence[Partition], *, at_end: bool = False) -> None:
        """Begin to read, with `NotConnected`."""
        self._partitions = partitions
        try:
            await self._clients.start(self._consumer)
            async with translated(self._clients.timeout):
                self._consumer.assign(partitions)
                await self._seek(at_end=at_end)
        except BaseException:
            await self.close()
            raise

    async def read(self, limit: int) -> Sequence[Record]:
        """The next ones, or none yet. Raises `ConnectionLost`."""
        self.check()
        if len(self._consumer.partitions_for_topic(self._topic) or ()) > len(self._partitions):
            self.end(f"the topic {self._topic} has more partitions now")
            self.check()
        try:
            async with translated(self._clients.timeout):
                found = await self._consumer.getmany(timeout_ms=_LOOK_MS, max_records=limit)
        except EventsError as error:
            if self.over:
                return ()
            raise ConnectionLost(str(error)) from error
        return [record for records in found.values() for record in records]

    async def to_end(self, take: Callable[[Record], None]) -> None:
        """What there is now and was not read."""
        async with translated(self._clients.timeout):
            ends = await self._consumer.end_offsets(self._partitions)
            while any([await self._consumer.position(each) < end for each, end in ends.items()]):
                found = await self._consumer.getmany(timeout_ms=_LOOK_MS, max_records=_AT_ONCE)
                for records in found.values():
                    for record in records:
                        take(record)

    async def rewind(self) -> None:
        """Begin anew."""
        async with translated(self._clients.timeout):
            await self._seek(at_end=False)

    async def lag(self) -> int:
        """How far behind the end."""
        async with translated(self._clients.timeout):
            ends = await self._consumer.end_offsets(self._partitions)
            return sum([end - await self._consumer.position(partition) for partition, end in ends.items()])

    def end(self, reason: str) -> None:
        """The connection is gone."""
        self._lost = self._lost or reason

    def check(self) -> None:
        """Raise `ConnectionLost` when it is."""
        if self._lost is not None:
            raise ConnectionLost(self._lost)

    @property
    def lost(self) -> bool:
        """Whether it is."""
        return self._lost is not None

    async def discard(self, reason: str) -> None:
        """End it for good."""
        self.end(reason)
        await self.close()

    async def close(self) -> None:
        """Read no more."""
        if not self.over:
            self.over = True
            await self._clients.end(self._consumer, seconds=1)

    async def _seek(self, *, at_end: bool) -> None:
        ask = self._consumer.end_offsets if at_end else self._consumer.beginning_offsets
        for partition, offset in (await ask(self._partitions)).items():
            self._consumer.seek(partition, offset)
