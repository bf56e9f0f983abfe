"""The transport on Pub/Sub: nothing is kept, and whoever does not listen misses it."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Final

from events_core.errors import ConnectionLost, EventsError, NotConnected, UnsupportedCapability
from events_core.ports import (
    Alert,
    AlertKind,
    Capabilities,
    Delivery,
    Feed,
    Notify,
    Settled,
    Settlement,
    Source,
    Subscription,
    Topic,
    Wire,
)
from events_redis.line import Dial, Line, Reply, pack
from events_redis.settings import RedisSettings, parse
from events_redis.wire import from_frame, to_frame

__all__ = ["RedisPubSubTransport"]


class RedisPubSubTransport:
    """One process's way to the channels of a Redis: one connection to publish on, one to listen."""

    def __init__(self, url: str, settings: RedisSettings | None = None) -> None:
        address, self._settings = parse(url, settings or RedisSettings(), pubsub=True)
        self._dial = Dial(address, self._settings.timeout)
        self._publishing = Line(self._dial)
        self._listening = Line(self._dial, overhear=self._hear, lost=self._lose)
        self._feeds: defaultdict[str, set[_Feed]] = defaultdict(set)
        self._notify: Notify | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Nothing but broadcast."""
        return Capabilities(durable=False, ordered=False, earliest=False, counts_starts=False, hold_limit=None)

    async def open(self, notify: Notify) -> None:
        """Connect."""
        try:
            await self._publishing.open()
            await self._listening.open()
        except BaseException:
            await self.close()
            raise
        self._notify = notify
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Disconnect."""
        self._notify = None
        if self._watching is not None:
            self._watching.cancel()
        self._listening.close()
        self._publishing.close()
        await self._dial.ended()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Publish to the topic's channel; that nobody listens is fine."""
        channel = self._channel(topic)
        return await self._publishing.send([pack("PUBLISH", channel, to_frame(wire)) for wire in batch])

    async def subscribe(self, subscription: Subscription) -> Feed:
        """Listen to the topic's channel from now on. There never is a dead letter."""
        if self._notify is None:
            raise NotConnected("the Redis transport is not open")
        if subscription.source is Source.EVENTS:
            raise UnsupportedCapability("Redis Pub/Sub keeps nothing: register with broadcast=True, or use redis://")
        feed = _Feed(self._channel(subscription.topic), subscription, self._notify, self._leave)
        if subscription.source is Source.DEAD:
            await feed.stop()
            return feed
        self._feeds[feed.channel].add(feed)
        try:
            await self._listening.ask("SUBSCRIBE", feed.channel)
        except EventsError:
            self._forget(feed)
            raise
        except BaseException:
            await self._leave(feed)
            raise
        return feed

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """There is nothing on Redis to remove."""
        if self._notify is None:
            raise NotConnected("the Redis transport is not open")

    def _channel(self, topic: Topic) -> str:
        return f"{self._settings.namespace}.{topic.name}" if self._settings.namespace else topic.name

    async def _leave(self, feed: "_Feed") -> None:
        """Listen no more to a channel that no other feed is about."""
        if self._forget(feed):
            with suppress(EventsError):
                await self._listening.ask("UNSUBSCRIBE", feed.channel)

    def _forget(self, feed: "_Feed") -> bool:
        """Whether it was the last feed of its channel."""
        feeds = self._feeds.get(feed.channel)
        if feeds is None:
            return False
        feeds.discard(feed)
        if not feeds:
            del self._feeds[feed.channel]
        return not feeds

    def _hear(self, reply: Reply) -> bool:
        match reply:
            case [b"message", channel, frame]:
                wire = from_frame(frame)
                origin = wire.headers.get("id") or token_hex(8)
                for feed in self._feeds.get(channel.decode(), ()):
                    feed.put(Delivery(wire, origin, 0, feed.channel, None))
                return True
            case _:
                return False

    def _lose(self, reason: str) -> None:
        feeds = [feed for each in self._feeds.values() for feed in each]
        self._feeds.clear()
        for feed in feeds:
            feed.end(reason)

    async def _watch(self) -> None:
        """Ask for signs of life: a dead connection looks like a quiet one."""
        while True:
            await asyncio.sleep(self._dial.timeout / 3)
            if self._feeds:
                with suppress(EventsError):
                    await self._listening.ask("PING")


class _Feed:
    """What was published to a channel since it subscribed, as far as the window has room."""

    def __init__(
        self, channel: str, subscription: Subscription, notify: Notify, leave: Callable[["_Feed"], Awaitable[None]]
    ) -> None:
        self.channel: Final = channel
        self._window = subscription.window
        self._topic = subscription.topic.name
        self._notify = notify
        self._leave = leave
        self._ready: deque[Delivery] = deque()
        self._missed = 0
        self._news = asyncio.Event()
        self._stopped = False
        self._lost: str | None = None

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            if missed := self._missed:
                self._missed = 0
                self._notify(Alert(AlertKind.GAP, self._topic, f"{missed} events found no room"))
            if self._ready:
                return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
            self._check()
            self._news.clear()
            await self._news.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Nothing is stored, so nothing is to be done."""
        self._check()
        return [Settled.DONE] * len(batch)

    async def lag(self) -> int | None:
        """How many wait for the core."""
        return len(self._ready)

    async def stop(self) -> None:
        """Listen no more."""
        self._stopped = True
        self._news.set()
        await self._leave(self)

    def put(self, delivery: Delivery) -> None:
        """Something was published."""
        if len(self._ready) < self._window:
            self._ready.append(delivery)
            self._news.set()
        else:
            self._missed += 1

    def end(self, reason: str) -> None:
        """Nothing arrives any more."""
        self._lost = reason
        self._news.set()

    def _check(self) -> None:
        if self._lost is not None and not self._stopped:
            raise ConnectionLost(self._lost)
