"""The transport on Streams: one connection to publish on, one for everything else, and one a feed to read."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from events_core.errors import EventsError, NotConnected, SubscriptionNotEmpty
from events_core.ports import Alert, AlertKind, Capabilities, Feed, Notify, Source, Subscription, Topic, Wire
from events_redis import safety, scripts
from events_redis.broadcast import BroadcastFeed
from events_redis.dead_letters import DeadLetterFeed
from events_redis.errors import translated
from events_redis.feeds import EventFeed
from events_redis.keys import Keys, keys_of, stream_of
from events_redis.line import CLOSED, Dial, Line, pack
from events_redis.settings import RedisSettings, parse
from events_redis.wire import encode

__all__ = ["RedisTransport"]

_LEAVING: Final = 2.0
"""Seconds that closing takes to give back what is held; later the leases run out."""


class RedisTransport:
    """One process's way to a Redis, 7.0 or later."""

    def __init__(self, url: str, settings: RedisSettings | None = None) -> None:
        address, self._settings = parse(url, settings or RedisSettings())
        self._dial = Dial(address, self._settings.timeout)
        self._publishing = Line(self._dial)
        self._line = Line(self._dial)
        self._notify: Notify | None = None
        self._feeds: set[EventFeed] = set()
        self._broadcasts: list[BroadcastFeed] = []
        self._gone: defaultdict[Keys, list[str]] = defaultdict(list)
        self._retention: dict[str, float] = {}
        self._janitor: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Durable, it counts, and it keeps for a while what everybody has settled."""
        return Capabilities(durable=True, ordered=False, earliest=True, counts_starts=True, hold_limit=None)

    async def open(self, notify: Notify) -> None:
        """Connect twice: an accept does not wait for large events on their way."""
        self._notify = notify
        try:
            await self._line.open()
            await safety.check(self._line, self._settings.accept)
            await self._publishing.open()
        except BaseException:
            await self.close()
            raise
        self._janitor = asyncio.create_task(self._trim())

    async def close(self) -> None:
        """Give back what is held, and disconnect."""
        self._notify = None
        if self._janitor is not None:
            self._janitor.cancel()
        feeds = [*self._feeds]
        ending: list[EventFeed | BroadcastFeed] = [*feeds, *self._broadcasts]
        for each in ending:
            each.end(CLOSED)
        with suppress(EventsError):
            async with translated(_LEAVING):
                await asyncio.gather(*(feed.leave() for feed in feeds))
        self._line.close()
        self._publishing.close()
        await self._dial.ended()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Add to the topic's stream."""
        stream = self._stream(topic)
        return await self._publishing.store([pack("XADD", stream, "*", *encode(wire)) for wire in batch])

    async def subscribe(self, subscription: Subscription) -> Feed:
        """Join the group of the topic's stream, made where there is none."""
        notify = self._opened()
        stream = self._stream(subscription.topic)
        keys = keys_of(subscription, self._settings.namespace)
        if subscription.source is Source.DEAD:
            return DeadLetterFeed(self._line, keys, subscription)
        if subscription.source is Source.BROADCAST:
            kept = self._settings.trim_every
            broadcast = BroadcastFeed(self._line, stream, subscription.topic.name, kept, notify)
            self._broadcasts = [each for each in self._broadcasts if not each.has_ended] + [broadcast]
            await broadcast.open()
            return broadcast
        return await self._join(keys, subscription, notify)

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """Delete the group and its keys, or some types."""
        self._opened()
        keys = keys_of(subscription, self._settings.namespace)
        if types is not None:
            if types:
                await self._line.ask("SREM", keys.types, *sorted(types))
            return
        group = subscription.consumer
        while backlog := await self._line.run(scripts.REMOVE, keys, group, "force" if force else ""):
            if backlog > 0:
                raise SubscriptionNotEmpty(f"{group} on {keys.topic} still holds {backlog} events; handle or force")
        self._gone.pop(keys, None)

    def _opened(self) -> Notify:
        if self._notify is None:
            raise NotConnected("the Redis transport is not open")
        return self._notify

    def _stream(self, topic: Topic) -> str:
        stream = stream_of(topic.name, self._settings.namespace)
        self._retention[stream] = topic.retention or self._settings.retention
        return stream

    async def _join(self, keys: Keys, subscription: Subscription, notify: Notify) -> EventFeed:
        feed = EventFeed(self._line, keys, subscription, self._settings.lease, self._forget)
        await feed.open()
        # Where this process lost a feed, there was a group.
        gone = self._gone.pop(keys, [])
        start = "known" if gone else "earliest" if subscription.earliest else ""
        try:
            made_anew = await feed.join(start, gone)
        except BaseException:
            self._gone[keys] += gone
            feed.end("it did not join")
            raise
        self._feeds.add(feed)
        if made_anew:
            subject = f"{subscription.consumer}.{subscription.topic.name}"
            notify(Alert(AlertKind.RECREATED, subject, "it had been deleted; the events it held are lost"))
        return feed

    def _forget(self, feed: EventFeed) -> None:
        if feed in self._feeds:
            self._feeds.discard(feed)
            if not feed.has_left:
                self._gone[feed.keys].append(feed.member)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(self._settings.trim_every)
            kept = round(self._settings.trim_every * 1000)
            for stream, retention in [*self._retention.items()]:
                with suppress(EventsError):
                    await self._line.run(scripts.TRIM, [stream], "", kept, round(retention * 1000))
