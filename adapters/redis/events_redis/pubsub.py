"""The transport on Pub/Sub: nothing is kept, and whoever does not listen misses it."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from secrets import token_hex
from time import monotonic
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection

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
from events_redis.errors import translate, translated
from events_redis.line import Dial, Line, hear, pack
from events_redis.settings import RedisSettings, parse
from events_redis.transport import answer
from events_redis.wire import from_frame, to_frame

__all__ = ["RedisPubSubTransport"]


class RedisPubSubTransport:
    """One process's way to the channels of a Redis: one connection to publish on, one to listen."""

    def __init__(self, url: str, settings: RedisSettings | None = None) -> None:
        address, self._settings = parse(url, settings or RedisSettings(), pubsub=True)
        self._dial = Dial(address, self._settings.timeout)
        self._line = Line(self._dial)
        self._listener: _Listener | None = None
        self._dialling = asyncio.Lock()
        self._notify: Notify | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Nothing but broadcast."""
        return Capabilities(durable=False, ordered=False, earliest=False, counts_starts=False, hold_limit=None)

    async def open(self, notify: Notify) -> None:
        """Connect."""
        await self._line.open()
        self._notify = notify

    async def close(self) -> None:
        """Disconnect."""
        self._notify = None
        if self._listener is not None:
            self._listener.end("the Redis transport was closed")
        self._line.close()
        await self._dial.ended()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Publish to the topic's channel; that nobody listens is fine."""
        channel = self._channel(topic)
        try:
            replies = await self._line.call([pack("PUBLISH", channel, to_frame(wire)) for wire in batch])
        except EventsError as error:
            replies = [error] * len(batch)
        return [answer(reply) for reply in replies]

    async def subscribe(self, subscription: Subscription) -> Feed:
        """Listen to the topic's channel from now on."""
        if self._notify is None:
            raise NotConnected("the Redis transport is not open")
        if subscription.source is Source.EVENTS:
            raise UnsupportedCapability("Redis Pub/Sub keeps nothing: register with broadcast=True, or use redis://")
        async with self._dialling:
            if self._listener is None or self._listener.lost is not None:
                self._listener = _Listener(self._dial, await self._dial())
        feed = _Feed(self._listener, self._channel(subscription.topic), subscription, self._notify)
        if subscription.source is Source.DEAD:
            # There never is any.
            await feed.stop()
        else:
            await self._listener.add(feed)
        return feed

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """There is nothing on Redis to remove."""
        if self._notify is None:
            raise NotConnected("the Redis transport is not open")

    def _channel(self, topic: Topic) -> str:
        return f"{self._settings.namespace}.{topic.name}" if self._settings.namespace else topic.name


class _Feed:
    """What was published to a channel since it subscribed, as far as the window has room."""

    def __init__(self, listener: "_Listener", channel: str, subscription: Subscription, notify: Notify) -> None:
        self.channel: Final = channel
        self._listener = listener
        self._window = subscription.window
        self._topic = subscription.topic.name
        self._notify = notify
        self._ready: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._missed = 0
        self._stopped = False

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            if missed := self._missed:
                self._missed = 0
                self._notify(Alert(AlertKind.GAP, self._topic, f"{missed} events found no room"))
            if self._ready:
                return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
            self._check()
            self._arrived.clear()
            await self._arrived.wait()
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
        if not self._stopped:
            self._stopped = True
            self._arrived.set()
            self._listener.remove(self)

    def put(self, delivery: Delivery) -> None:
        """Something was published."""
        if len(self._ready) < self._window:
            self._ready.append(delivery)
            self._arrived.set()
        else:
            self._missed += 1

    def wake(self) -> None:
        """Let who waits look again."""
        self._arrived.set()

    def _check(self) -> None:
        if self._listener.lost is not None and not self._stopped:
            raise ConnectionLost(self._listener.lost)


class _Listener:
    """The connection that all feeds share. It asks for signs of life: a dead one looks like a quiet one."""

    def __init__(self, dial: Dial, connection: AbstractConnection) -> None:
        self.lost: str | None = None
        self._dial = dial
        self._connection = connection
        self._timeout = dial.timeout
        self._feeds: dict[str, dict[_Feed, None]] = {}
        self._asked: deque[asyncio.Future[None]] = deque()
        self._unsaid: asyncio.Queue[bytes] = asyncio.Queue()
        self._heard = monotonic()
        self._tasks = [asyncio.create_task(self._host(each)) for each in (self._listen(), self._speak(), self._watch())]

    async def add(self, feed: _Feed) -> None:
        """Hand it what is published to its channel from now on; `NotConnected` or what Redis says."""
        self._feeds.setdefault(feed.channel, {})[feed] = None
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._unsaid.put_nowait(pack("SUBSCRIBE", feed.channel))
        try:
            async with translated(self._timeout):
                await asked
        except BaseException:
            self.remove(feed)
            raise

    def remove(self, feed: _Feed) -> None:
        """Hand it nothing more."""
        feeds = self._feeds.get(feed.channel, {})
        feeds.pop(feed, None)
        if not feeds and self._feeds.pop(feed.channel, None) is not None:
            self._unsaid.put_nowait(pack("UNSUBSCRIBE", feed.channel))

    def end(self, reason: str) -> None:
        """All feeds are lost."""
        if self.lost is None:
            self.lost = reason
            for task in self._tasks:
                task.cancel()
            self._dial.hang_up(self._connection)
            for asked in self._asked:
                if not asked.done():
                    asked.set_exception(NotConnected(reason))
            for feeds in self._feeds.values():
                for feed in feeds:
                    feed.wake()

    async def _host(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with translated(None):
                await work
        except EventsError as error:
            self.end(str(error))

    async def _listen(self) -> None:
        while True:
            reply = await hear(self._connection)
            self._heard = monotonic()
            match reply:
                case [b"message", channel, frame]:
                    self._hand_out(channel.decode(), frame)
                case [b"subscribe", *_]:
                    self._answer(None)
                case Exception():
                    self._answer(translate(reply))
                case _:
                    pass

    def _answer(self, refusal: EventsError | None) -> None:
        asked = self._asked.popleft() if self._asked else None
        if asked is None or asked.done():
            return
        if refusal is None:
            asked.set_result(None)
        else:
            asked.set_exception(refusal)

    def _hand_out(self, channel: str, frame: bytes) -> None:
        wire = from_frame(frame)
        origin = wire.headers.get("id") or token_hex(8)
        for feed in self._feeds.get(channel, ()):
            feed.put(Delivery(wire, origin, 0, channel, None))

    async def _speak(self) -> None:
        while True:
            said = [await self._unsaid.get()]
            while not self._unsaid.empty():
                said.append(self._unsaid.get_nowait())
            await self._connection.send_packed_command(said, check_health=False)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._timeout / 3)
            if monotonic() - self._heard > self._timeout:
                raise NotConnected(f"Redis gave no sign of life for {self._timeout:g} s")
            self._unsaid.put_nowait(pack("PING"))
