"""Writes records, as few batches as partitions, and tells of each what became of it."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from aiokafka.errors import KafkaTimeoutError  # type: ignore[import-untyped]
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]

from events_core.errors import EventsError, NotConnected, OutcomeUnknown, SendRejected
from events_core.ports import Wire
from events_kafka.clients import Clients
from events_kafka.errors import TOO_LARGE, translate, translated
from events_kafka.library import Batch, Producer
from events_kafka.wire import headers_of, key_of

__all__ = ["Entry", "Publisher", "Results", "entry_of"]

Results = Sequence[EventsError | None]


class Entry(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class _Sent(NamedTuple):
    places: list[int]
    answer: "asyncio.Future[object]"


def entry_of(wire: Wire) -> Entry:
    """The record that carries an event."""
    return Entry(key_of(wire), wire.body, headers_of(wire))


class Publisher:
    """One idempotent producer, made anew when the broker does not follow it any more.

    It outlives connections: what it has begun to write when one breaks, it writes once on the next.
    """

    def __init__(self, clients: Clients, timeout: float) -> None:
        self._clients = clients
        self._timeout = timeout
        self._producer: Producer | None = None
        self._opening = asyncio.Lock()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._next = count()

    async def close(self) -> None:
        """Let go of the producer."""
        async with self._opening:
            producer, self._producer = self._producer, None
        if producer is not None:
            await self._clients.end(producer, seconds=min(self._timeout, 2))

    async def write(self, topic: str, entries: Sequence[Entry], ready: Callable[[], Awaitable[None]]) -> Results:
        """Write them after those of earlier calls for the topic, and wait; a result each. `ready` is awaited before."""
        results: list[EventsError | None] = [NotConnected("the record was not sent")] * len(entries)
        sent: list[_Sent] = []
        producer: Producer | None = None
        try:
            async with translated(self._timeout), self._turns[topic]:
                await ready()
                producer = await self._ready_producer()
                await self._send(producer, topic, entries, sent)
        except EventsError as error:
            kind = NotConnected if isinstance(error, NotConnected) else SendRejected
            for place in set(range(len(entries))).difference(*(each.places for each in sent)):
                results[place] = _caused(kind(str(error)), error)
        if producer is not None and sent:
            await self._answers(producer, sent, results)
            await self._split(topic, entries, sent, results, ready)
        return results

    async def _ready_producer(self) -> Producer:
        async with self._opening:
            if self._producer is None:
                self._producer = await self._clients.producer()
            return self._producer

    async def _send(self, producer: Producer, topic: str, entries: Sequence[Entry], sent: list[_Sent]) -> None:
        partitions = sorted(await producer.partitions_for(topic))
        free = partitions[next(self._next) % len(partitions)]
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, entry in enumerate(entries):
            chosen = free if entry.key is None else partitions[_hash(entry.key) % len(partitions)]
            places[chosen].append(place)
        for partition, waiting in places.items():
            for batch, taken in _batches(producer, entries, waiting):
                try:
                    answer = await producer.send_batch(batch, topic, partition=partition)
                except KafkaTimeoutError as error:
                    raise NotConnected("Kafka took nothing in time") from error
                answer.add_done_callback(_seen)
                sent.append(_Sent(taken, answer))

    async def _answers(self, producer: Producer, sent: Sequence[_Sent], results: list[EventsError | None]) -> None:
        await asyncio.wait([each.answer for each in sent], timeout=self._timeout)
        for places, answer in sent:
            error = _outcome(answer, self._timeout)
            if isinstance(error, OutcomeUnknown):
                await self._replace(producer)
            for place in places:
                results[place] = error

    async def _split(
        self,
        topic: str,
        entries: Sequence[Entry],
        sent: Sequence[_Sent],
        results: list[EventsError | None],
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        """A batch that was too large is refused whole: what is in it may fit alone."""
        for places, answer in sent:
            if len(places) > 1 and answer.done() and isinstance(answer.exception(), TOO_LARGE):
                for place in places:
                    results[place] = (await self.write(topic, [entries[place]], ready))[0]

    async def _replace(self, producer: Producer) -> None:
        """It may be stuck for good. What it still holds is written late or never, and nobody waits for it."""
        if self._producer is producer:
            self._producer = None
            await self._clients.end(producer, seconds=0)


def _batches(producer: Producer, entries: Sequence[Entry], places: Sequence[int]) -> list[tuple[Batch, list[int]]]:
    batches: list[tuple[Batch, list[int]]] = []
    now = math.ceil(time.time() * 1000)
    for place in places:
        entry = entries[place]
        if not (batches and _append(batches[-1][0], entry, now)):
            batches.append((producer.create_batch(), []))
            _append(batches[-1][0], entry, now)
        batches[-1][1].append(place)
    return batches


@lru_cache(maxsize=4096)
def _hash(key: bytes) -> int:
    """As the Java client does: who writes the same key lands in the same partition."""
    hashed: int = murmur2(key) & 0x7FFFFFFF
    return hashed


def _append(batch: Batch, entry: Entry, now: int) -> bool:
    added = batch.append(timestamp=now, key=entry.key, value=entry.value, headers=list(entry.headers))
    return added is not None


def _outcome(answer: "asyncio.Future[object]", timeout: float) -> EventsError | None:
    if not answer.done() or answer.cancelled():
        return OutcomeUnknown(f"no confirm from Kafka within {timeout:g} s; send again with the same id")
    if (error := answer.exception()) is None:
        return None
    meaning = translate(error) if isinstance(error, Exception) else NotConnected(type(error).__name__)
    if isinstance(meaning, NotConnected):
        return _caused(OutcomeUnknown(f"{meaning}; send again with the same id"), error)
    return _caused(SendRejected(str(meaning)), error)


def _seen(answer: "asyncio.Future[object]") -> None:
    """Nobody asks for an answer that came too late."""
    if not answer.cancelled():
        answer.exception()


def _caused(error: EventsError, cause: BaseException) -> EventsError:
    error.__cause__ = cause
    return error
