"""The feed of a broadcast topic."""

from collections.abc import Sequence
from typing import Final

from events_core.errors import ConnectionLost, EventsError
from events_core.ports import Delivery, Settled, Settlement
from events_kafka.clients import Clients
from events_kafka.errors import translated
from events_kafka.library import Consumer
from events_kafka.link import Link
from events_kafka.wire import read

__all__ = ["BroadcastFeed"]

_LOOK_MS: Final = 200


class BroadcastFeed:
    """Everything that is published from now on, read by hand and committed nowhere; what finds no room waits there."""

    def __init__(self, clients: Clients, topic: str) -> None:
        self._clients = clients
        self._topic = topic
        # Who is so slow that the topic drops what was not read has to hear of it.
        self._consumer: Consumer = clients.consumer(reset="none")
        self._read: set[int] = set()
        self._lost: str | None = None
        self.topics: frozenset[str] = frozenset({topic})
        self._stopped = False

    async def open(self, link: Link) -> None:
        """Begin to listen, with `NotConnected`."""
        try:
            await self._clients.start(self._consumer)
            async with translated(self._clients.timeout):
                partitions = await link.partitions(self._topic)
                self._read = {each.partition for each in partitions}
                self._consumer.assign(partitions)
                for partition, end in (await self._consumer.end_offsets(partitions)).items():
                    self._consumer.seek(partition, end)
        except BaseException:
            await self.stop()
            raise

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            if (self._consumer.partitions_for_topic(self._topic) or set()) > self._read:
                self.end(f"the topic {self._topic} has more partitions now")
            if self._lost is not None:
                raise ConnectionLost(self._lost)
            try:
                async with translated(None):
                    found = await self._consumer.getmany(timeout_ms=_LOOK_MS, max_records=limit)
            except EventsError as error:
                if self.over:
                    break
                raise ConnectionLost(str(error)) from error
            if found:
                return [
                    Delivery(read(each), f"{each.topic}/{each.partition}/{each.offset}", 1, partition, None)
                    for partition, records in found.items()
                    for each in records
                ]
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Nothing is stored, so nothing is to be done."""
        if self._lost is not None:
            raise ConnectionLost(self._lost)
        return [Settled.DONE] * len(batch)

    async def lag(self) -> int | None:
        """How far behind the topic's end."""
        partitions = self._consumer.assignment()
        async with translated(self._clients.timeout):
            ends = await self._consumer.end_offsets(partitions)
            return sum([ends[partition] - await self._consumer.position(partition) for partition in partitions])

    async def stop(self) -> None:
        """Hand out nothing more."""
        if not self._stopped:
            self._stopped = True
            await self._clients.end(self._consumer, seconds=1)

    async def discard(self, reason: str) -> None:
        """End it for good."""
        self.end(reason)
        await self.stop()

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost is not None

    @property
    def over(self) -> bool:
        """Whether nothing has to be closed any more."""
        return self._stopped

    def end(self, reason: str) -> None:
        """The connection is gone."""
        self._lost = reason
