"""The transport: a link that notices, a producer, and a consumer for each group."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

from events_core.errors import EventsError, NotConnected
from events_core.ports import Alert, AlertKind, Capabilities, Feed, Notify, Revoked, Source, Subscription, Topic, Wire
from events_kafka import starting
from events_kafka.broadcast import BroadcastFeed
from events_kafka.clients import Clients
from events_kafka.dead_letters import DeadLetterFeed
from events_kafka.feeds import EventFeed
from events_kafka.link import Link
from events_kafka.publisher import Entry, Publisher, Results, entry_of
from events_kafka.registry import Registry, entries_of
from events_kafka.settings import KafkaSettings, parse
from events_kafka.tail import Tail
from events_kafka.topology import Names, Topics

__all__ = ["KafkaTransport"]

_DIAL_EVERY: Final = 0.5
_ITSELF: Final = ""
"""Stands for the subscription among its types."""
_CLOSED: Final = "the Kafka transport is not open"
_DELETED: Final = "it had been deleted or its offsets had expired; the events it held are lost, or are handled again"


class KafkaTransport:
    """One process's way to a Kafka cluster, 3.9 or later."""

    def __init__(self, bootstrap_servers: str, settings: KafkaSettings | None = None) -> None:
        address, self._settings = parse(bootstrap_servers, settings or KafkaSettings())
        self._clients = Clients(address, self._settings)
        self._topics = Topics(self._settings)
        self._notify: Notify | None = None
        self._link: Link | None = None
        self._dialling = asyncio.Lock()
        self._publisher = Publisher(self._clients, self._settings.timeout)
        self._registry = Registry(self._clients, self._named("events.subscriptions"))
        self._feeds: set[EventFeed | Tail] = set()
        self._recovering: asyncio.Task[None] | None = None
        self._broken: set[Link] = set()

    @property
    def capabilities(self) -> Capabilities:
        """Durable, with history; it counts, in what it commits; a hold is renewed by heartbeats."""
        return Capabilities(durable=True, ordered=False, earliest=True, counts_starts=True, hold_limit=None)

    async def open(self, notify: Notify) -> None:
        """Dial."""
        self._notify = notify
        try:
            await self._linked()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Leave every group: others begin where the last commits are."""
        self._notify = None
        links, self._link, self._broken = {self._link, *self._broken}, None, set()
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.wait([self._recovering])
        await self._discard([*self._feeds])
        await self._publisher.close()
        await self._registry.close()
        await asyncio.gather(*(link.close() for link in links if link is not None))
        await self._clients.close()
        self._topics.forget_all()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Write to the topic, a batch for each partition."""
        name = self._named(topic.name)

        async def ready() -> None:
            link = await self._linked()
            await self._topics.ensure_events(link, name, topic)
            link.watched.add(name)

        if self._notify is None:
            return [NotConnected(_CLOSED) for _ in batch]
        return await self._publisher.write(name, [entry_of(wire) for wire in batch], ready)

    async def subscribe(self, subscription: Subscription) -> Feed:
        """Make the objects, the starting point and the types durable; then join."""
        link = await self._linked()
        names = Names.of(subscription, self._settings.namespace)
        if subscription.source is Source.BROADCAST:
            await self._topics.ensure_events(link, names.topic, subscription.topic)
            broadcast = BroadcastFeed(self._clients, names.topic)
            self._add(broadcast.tail)
            await broadcast.open(link)
            link.watched.add(names.topic)
            return broadcast
        if subscription.source is Source.DEAD:
            return await self._dead_letters(link, names)
        old = [each for each in self._feeds if isinstance(each, EventFeed) and each.names == names]
        await self._discard([*(each for each in self._feeds if each.lost), *old])
        return await self._feed(link, names, subscription)

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """Delete the groups and the topics of the subscription's own, or some of its types."""
        link = await self._linked()
        names = Names.of(subscription, self._settings.namespace)
        known = await self._types_of(link, names)
        if types is not None:
            await self._register(names, types & known, wanted=False)
            return
        there = await link.topics()
        if not force:
            letters = await self._dead_letters(link, names)
            await letters.stop()
            await starting.refuse_backlog(self._clients, link, names, letters.count)
        await link.delete_group(names.group, evicting=self._clients.patience if force else 0.0)
        own = [name for name in (*names.steps(there), names.dead) if name in there]
        if own:
            link.watched -= {*own}
            await link.delete_topics(own)
            self._topics.forget({*own})
        await self._register(names, known, wanted=False)

    def _named(self, name: str) -> str:
        return f"{self._settings.namespace}.{name}" if self._settings.namespace else name

    async def _linked(self) -> Link:
        async with self._dialling:
            notify = self._notify
            if notify is None:
                raise NotConnected(_CLOSED)
            if self._link is None:
                link = Link(self._clients, self._settings.timeout, lost=self._lost, gone=self._gone)
                await link.open()
                if self._notify is not notify:
                    await link.close()
                    raise NotConnected(_CLOSED)
                self._link = link
            return self._link

    async def _write(self, topic: str, entries: Sequence[Entry]) -> Results:
        async def ready() -> None:
            await self._linked()

        return await self._publisher.write(topic, entries, ready)

    async def _feed(self, link: Link, names: Names, subscription: Subscription) -> EventFeed:
        created = await self._topics.ensure_subscription(link, names, subscription)
        known = await self._types_of(link, names)
        steps = names.steps(await link.topics())
        begins = {"earliest": subscription.earliest or _ITSELF in known, "anew": names.topic in created}
        begun = await starting.fix_start(self._clients, link, names, **begins)
        await self._register(names, {_ITSELF, *subscription.types} - known, wanted=True)
        feed = EventFeed(names, subscription, self._registry, self._write, self._tell)
        self._add(feed)
        await feed.open(self._clients, link, steps=steps, drain=self._settings.drain)
        link.watched |= feed.topics
        if _ITSELF in known and (begun or names.dead in created):
            subject = f"{subscription.consumer}.{subscription.topic.name}"
            self._tell(Alert(AlertKind.RECREATED, subject, _DELETED))
        return feed

    async def _dead_letters(self, link: Link, names: Names) -> DeadLetterFeed:
        feed = DeadLetterFeed(self._clients, names, self._write)
        self._add(feed.tail)
        await feed.open(link)
        return feed

    async def _types_of(self, link: Link, names: Names) -> set[str]:
        if not await link.partitions(names.registry):
            return set()
        link.watched.add(names.registry)
        return await self._registry.types(names.group)

    async def _register(self, names: Names, types: Collection[str], *, wanted: bool) -> None:
        if types:
            results = await self._write(names.registry, entries_of(names.group, types, wanted=wanted))
            if error := next((each for each in results if each is not None), None):
                raise NotConnected(f"the types of {names.group} could not be kept: {error}") from error

    def _add(self, feed: EventFeed | Tail) -> None:
        self._feeds = {each for each in self._feeds if not each.over} | {feed}

    def _tell(self, notice: Revoked | Alert) -> None:
        if self._notify is not None:
            self._notify(notice)

    def _lost(self, reason: str) -> None:
        link, self._link = self._link, None
        for feed in [*self._feeds]:
            feed.end(reason)
        if link is not None and self._notify is not None:
            self._broken.add(link)
            self._recovering = asyncio.get_running_loop().create_task(self._recover(link))

    def _gone(self, topics: set[str]) -> None:
        self._topics.forget(topics)
        if self._registry.topic in topics:
            self._registry.restart()
        for feed in [*self._feeds]:
            if deleted := sorted(feed.topics & topics):
                feed.end(f"the topic {deleted[0]} was deleted")

    async def _recover(self, link: Link) -> None:
        """Dial until there is a link, and leave the groups of what was lost: till then they wait for us."""
        await link.close()
        self._broken.discard(link)
        while self._link is None and self._notify is not None:
            await asyncio.sleep(_DIAL_EVERY)
            with suppress(EventsError):
                await self._linked()
        await self._discard([each for each in self._feeds if each.lost])

    async def _discard(self, feeds: Sequence[EventFeed | Tail]) -> None:
        self._feeds -= {*feeds}
        await asyncio.gather(*(feed.discard("it was given up") for feed in feeds))
