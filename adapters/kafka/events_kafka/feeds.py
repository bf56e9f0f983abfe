"""The feed of a durable subscription."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

from events_core.errors import MalformedMessage
from events_core.messages import JsonCodec
from events_core.ports import (
    Alert,
    AlertKind,
    Delivery,
    Notify,
    Revoked,
    Settled,
    Settlement,
    Subscription,
    Verdict,
)
from events_kafka.clients import Clients
from events_kafka.inbox import Inbox, place_of
from events_kafka.lane import Lane
from events_kafka.library import Partition, Record
from events_kafka.link import Link
from events_kafka.publisher import Entry, Results, entry_of
from events_kafka.reader import Assignment, Reader
from events_kafka.registry import Registry
from events_kafka.topology import Names
from events_kafka.wire import copy_of, handed_back, type_of

__all__ = ["EventFeed", "Write", "letter_of"]

_LOOK: Final = 0.25
"""Seconds: nobody who asks for the lag waits longer for a connection that is gone."""

Write = Callable[[str, Sequence[Entry]], Awaitable[Results]]
"""Puts records into a topic that is there; a result each."""


class EventFeed:
    """Reads the topic and the subscription's retry topics."""

    def __init__(
        self, names: Names, subscription: Subscription, registry: Registry, write: Write, notify: Notify
    ) -> None:
        self.names = names
        self._subscription = subscription
        self._registry = registry
        self._write = write
        self._notify = notify
        self._codec = JsonCodec()
        self._inbox = Inbox(subscription.window)
        self._reader: Reader | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.topics: frozenset[str] = frozenset()

    async def open(self, clients: Clients, link: Link, *, steps: Mapping[str, float], drain: float) -> None:
        """Join the group."""
        self.topics = frozenset({self.names.topic, self.names.dead, *steps})
        assignment = Assignment(
            group=self.names.group,
            topics={self.names.topic: 0.0, **steps},
            drain=drain,
            wanted=self._wanted,
            revoking=self._revoke,
            gone=self._gone,
        )
        self._reader = Reader(clients, link, self._inbox, assignment)
        try:
            await self._reader.open()
        except BaseException:
            await self.discard("it could not be opened")
            raise

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._inbox.stopped:
            if deliveries := self._inbox.take(limit):
                return deliveries
            await self._inbox.changed()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Accept and release at once; retries and dead letters when their copies are confirmed."""
        self._inbox.check()
        ours = [each for each in batch if self._inbox.holds(each.delivery)]
        results = {each.delivery: Settled.DONE for each in ours}
        for each in ours:
            if each.verdict is Verdict.ACCEPT:
                _finish(each.delivery)
        await self._release([each.delivery for each in ours if each.verdict is Verdict.RELEASE])
        if copied := [each for each in ours if each.verdict in {Verdict.RETRY, Verdict.DEAD_LETTER}]:
            results |= await self._copy({each.delivery: self._copy_of(each) for each in copied})
        self._inbox.ring()
        return [results.get(each.delivery, Settled.LOST) for each in batch]

    async def lag(self) -> int | None:
        """What is behind the last hand-out: of the topic, and of replays."""
        if self._inbox.stopped or self._reader is None:
            return None
        asking = asyncio.get_running_loop().create_task(self._reader.lag([self.names.topic, self.names.retry(0)]))
        try:
            while not asking.done():
                self._inbox.check()
                await asyncio.wait([asking], timeout=_LOOK)
        finally:
            asking.cancel()
        return await asking

    async def stop(self) -> None:
        """Hand out nothing more, and leave the group as soon as nothing is held."""
        self._inbox.stopped = True
        self._inbox.withdraw(self._inbox.lanes)
        self._inbox.ring()
        if self._leaving is None and self._reader is not None:
            self._leaving = asyncio.get_running_loop().create_task(self._reader.leave())

    @property
    def lost(self) -> bool:
        """Whether it is dead."""
        return self._inbox.lost

    @property
    def over(self) -> bool:
        """Whether nothing has to be closed any more."""
        return self._leaving is not None and self._leaving.done()

    def end(self, reason: str) -> None:
        """What is held is handed out elsewhere."""
        self._inbox.end(reason)

    async def discard(self, reason: str) -> None:
        """End it and leave the group; what is held is lost, and what was settled is committed."""
        if self._inbox.held or not self._inbox.stopped:
            self._inbox.end(reason)
        await self.stop()
        if self._leaving is not None:
            await asyncio.wait([self._leaving])

    def _gone(self, topic: str) -> None:
        subject = f"{self._subscription.consumer}.{self._subscription.topic.name}"
        self._notify(Alert(AlertKind.RECREATED, subject, f"the topic {topic} was deleted; what it held is lost"))

    def _revoke(self, lanes: frozenset[Partition]) -> None:
        self._notify(Revoked(self, lanes))

    async def _wanted(self, records: Collection[Record]) -> Collection[Record]:
        """What is not known here is looked up; what tells no type, and what waited for a retry, is wanted."""
        types = {id(each): type_of(each) or self._peek(each) for each in records if each.topic == self.names.topic}
        known: set[str | None] = {None, *self._subscription.types}
        if not known >= {*types.values()}:
            known |= await self._registry.types(self.names.group)
        return [each for each in records if types.get(id(each)) in known]

    def _peek(self, record: Record) -> str | None:
        with suppress(MalformedMessage):
            return self._codec.peek(record.value or b"")[0]
        return None

    async def _release(self, deliveries: Sequence[Delivery]) -> None:
        """Back to their places; or, while others keep this process from leaving, as copies that need not wait for it."""
        if self._inbox.stopped and len(deliveries) < self._inbox.held:
            copies = {each: (self.names.retry(0), entry_of(handed_back(each))) for each in deliveries}
            copied = await self._copy(copies)
            deliveries = [each for each in deliveries if copied[each] is Settled.AGAIN]
        lanes: set[Lane] = set()
        for delivery in deliveries:
            lane, record = place_of(delivery)
            if record.offset in lane.held:
                lane.release(record.offset)
                lanes.add(lane)
        if self._reader is not None and not self._inbox.stopped:
            for lane in lanes:
                self._reader.read_again(lane)

    async def _copy(self, copies: Mapping[Delivery, tuple[str, Entry]]) -> dict[Delivery, Settled]:
        by_topic: defaultdict[str, list[Delivery]] = defaultdict(list)
        for delivery, (topic, _) in copies.items():
            by_topic[topic].append(delivery)
        results: dict[Delivery, Settled] = {}
        for topic, deliveries in by_topic.items():
            answers = await self._write(topic, [copies[each][1] for each in deliveries])
            for delivery, answer in zip(deliveries, answers, strict=True):
                results[delivery] = Settled.DONE if answer is None else Settled.AGAIN
                if answer is None:
                    _finish(delivery)
        if self._reader is not None:
            # Else a process that is killed now would leave two of each.
            await self._reader.commit()
        self._inbox.check()
        return results

    def _copy_of(self, settlement: Settlement) -> tuple[str, Entry]:
        entry = entry_of(copy_of(settlement))
        if settlement.verdict is Verdict.DEAD_LETTER:
            return self.names.dead, entry._replace(key=letter_of(settlement.delivery))
        return self.names.retry(settlement.delay), entry


def letter_of(delivery: Delivery) -> bytes:
    """The name of its dead letter: the same when it is written again, and no other's."""
    _, record = place_of(delivery)
    return f"{delivery.origin}@{record.timestamp}".encode()


def _finish(delivery: Delivery) -> None:
    lane, record = place_of(delivery)
    lane.finish(record.offset)
