"""The feed of dead letters: reads their topic to its end, then hands out those that nobody has taken out."""

from collections.abc import Sequence
from typing import cast

from events_core.ports import Delivery, Settled, Settlement, Verdict
from events_kafka.clients import Clients
from events_kafka.feeds import Write
from events_kafka.library import Record, partition_of
from events_kafka.link import Link
from events_kafka.publisher import Entry, entry_of
from events_kafka.tail import Tail
from events_kafka.topology import Names
from events_kafka.wire import copy_of, origin_of, read

__all__ = ["DeadLetterFeed"]


class DeadLetterFeed:
    """A record without a body takes out the letter of its key; so nothing of a letter has to be held here."""

    def __init__(self, clients: Clients, names: Names, write: Write) -> None:
        self._names = names
        self._write = write
        self._newest: dict[bytes, str] = {}
        self.tail: Tail = Tail(clients, names.dead)

    async def open(self, link: Link) -> None:
        """Find out which letters there are. Where there is no topic, there are none."""
        await self.tail.open(await link.partitions(self._names.dead))
        try:
            await self.tail.to_end(self._note)
            await self.tail.rewind()
        except BaseException:
            await self.stop()
            raise

    @property
    def count(self) -> int:
        """How many letters there are."""
        return len(self._newest)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """The next ones; empty at the end."""
        deliveries: list[Delivery] = []
        while self._newest and not deliveries and not self.tail.over:
            for record in await self.tail.read(limit):
                key, origin = record.key or b"", origin_of(record)
                if self._newest.get(key) == origin:
                    del self._newest[key]
                    lane = partition_of(record.topic, record.partition)
                    deliveries.append(Delivery(read(record), origin, 1, lane, key))
        return deliveries

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Take it out; a replay before is put where retries without delay are."""
        self.tail.check()
        results: dict[Delivery, Settled] = {each.delivery: Settled.DONE for each in batch}
        if replayed := [each for each in batch if each.verdict is Verdict.RETRY]:
            answers = await self._write(self._names.retry(0), [entry_of(copy_of(each)) for each in replayed])
            for each, answer in zip(replayed, answers, strict=True):
                results[each.delivery] = Settled.DONE if answer is None else Settled.AGAIN
        done = [
            each.delivery
            for each in batch
            if each.verdict is not Verdict.RELEASE and results[each.delivery] is Settled.DONE
        ]
        if done:
            answers = await self._write(self._names.dead, [Entry(cast("bytes", each.token), None) for each in done])
            results |= {each: Settled.AGAIN for each, answer in zip(done, answers, strict=True) if answer is not None}
        return [results[each.delivery] for each in batch]

    async def lag(self) -> int | None:
        """How many were not read."""
        return self.count

    async def stop(self) -> None:
        """Nothing is held."""
        await self.tail.close()

    def _note(self, record: Record) -> None:
        key = record.key or b""
        self._newest.pop(key, None)
        if record.value is not None:
            self._newest[key] = origin_of(record)
