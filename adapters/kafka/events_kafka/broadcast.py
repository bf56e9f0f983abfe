"""The feed of a broadcast topic."""

from collections.abc import Sequence

from events_core.ports import Delivery, Settled, Settlement
from events_kafka.clients import Clients
from events_kafka.library import Record, partition_of
from events_kafka.link import Link
from events_kafka.tail import Tail
from events_kafka.wire import origin_of, read

__all__ = ["BroadcastFeed"]


class BroadcastFeed:
    """Everything that is published from now on; what finds no room waits in the topic."""

    def __init__(self, clients: Clients, topic: str) -> None:
        self._topic = topic
        # Who is so slow that the topic drops what was not read has to hear of it.
        self.tail: Tail = Tail(clients, topic, reset="none")

    async def open(self, link: Link) -> None:
        """Begin to listen, with `NotConnected`."""
        await self.tail.open(await link.partitions(self._topic), at_end=True)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self.tail.over:
            if found := await self.tail.read(limit):
                return [_delivery(each) for each in found]
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Nothing is stored, so nothing is to be done."""
        self.tail.check()
        return [Settled.DONE] * len(batch)

    async def lag(self) -> int | None:
        """How far behind the topic's end."""
        return await self.tail.lag()

    async def stop(self) -> None:
        """Hand out nothing more."""
        await self.tail.close()


def _delivery(record: Record) -> Delivery:
    return Delivery(read(record), origin_of(record), 1, partition_of(record.topic, record.partition), None)
