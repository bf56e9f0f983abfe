"""The feed of dead letters: reads their topic to its end, then hands out those that nobody has taken out."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from events_core.errors import ConnectionLost, EventsError
from events_core.ports import Delivery, Settled, Settlement, Verdict
from events_kafka.clients import Clients
from events_kafka.errors import translated
from events_kafka.feeds import Write
from events_kafka.library import Consumer, Partition, Record
from events_kafka.link import Link
from events_kafka.publisher import Entry, entry_of
from events_kafka.topology import Names
from events_kafka.wire import copy_of, read

__all__ = ["DeadLetterFeed"]

_LOOK_MS: Final = 200
_AT_ONCE: Final = 500


class DeadLetterFeed:
    """A record without a body takes out the letter of its key; so nothing of a letter has to be held here."""

    def __init__(self, clients: Clients, names: Names, write: Write) -> None:
        self._clients = clients
        self._names = names
        self._write = write
        self._consumer: Consumer | None = None
        self._ends: dict[Partition, int] = {}
        self._newest: dict[bytes, tuple[Partition, int]] = {}
        self._lost: str | None = None
        self.topics: frozenset[str] = frozenset({names.dead})

    async def open(self, link: Link) -> None:
        """Find out which letters there are. Where there is no topic, there are none."""
        consumer = self._consumer = self._clients.consumer()
        try:
            await self._clients.start(consumer)
            async with translated(self._clients.timeout):
                partitions = await link.partitions(self._names.dead)
                consumer.assign(partitions)
                self._ends = await consumer.end_offsets(partitions)
                await self._survey(consumer, await consumer.beginning_offsets(partitions))
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
        while self._consumer is not None and self._newest and not deliveries:
            self._check()
            try:
                async with translated(self._clients.timeout):
                    found = await self._consumer.getmany(timeout_ms=_LOOK_MS, max_records=limit)
            except EventsError as error:
                raise ConnectionLost(str(error)) from error
            for partition, records in found.items():
                for record in records:
                    if self._newest.get(record.key or b"") == (partition, record.offset):
                        del self._newest[record.key or b""]
                        deliveries.append(_letter(partition, record))
        return deliveries

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Take it out; a replay before is put where retries without delay are."""
        self._check()
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
        return len(self._newest)

    async def stop(self) -> None:
        """Nothing is held."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await self._clients.end(consumer, seconds=1)

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
        return self._consumer is None

    def end(self, reason: str) -> None:
        """The connection is gone."""
        self._lost = reason

    def _check(self) -> None:
        if self._lost is not None:
            raise ConnectionLost(self._lost)

    async def _survey(self, consumer: Consumer, begins: Mapping[Partition, int]) -> None:
        for partition, begin in begins.items():
            consumer.seek(partition, begin)
            while await consumer.position(partition) < self._ends[partition]:
                found = await consumer.getmany(partition, timeout_ms=_LOOK_MS, max_records=_AT_ONCE)
                for record in found.get(partition, ()):
                    key = record.key or b""
                    self._newest.pop(key, None)
                    if record.value is not None:
                        self._newest[key] = (partition, record.offset)
            consumer.seek(partition, begin)


def _letter(partition: Partition, record: Record) -> Delivery:
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    return Delivery(read(record), origin, 1, partition, record.key or b"")
