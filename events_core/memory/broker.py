"""What an in-memory broker stores: shared by the transports ("processes") that are opened on it."""

import asyncio
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from events_core.clock import Clock, SystemClock
from events_core.errors import MalformedMessage
from events_core.messages import JsonCodec
from events_core.ports import Wire

__all__ = ["InMemoryBroker"]


@dataclass(slots=True, eq=False)
class Stored:
    """An event at rest in one subscription, or in somebody's hands."""

    wire: Wire
    origin: str
    starts: int = 0

    def copy(self, headers: Mapping[str, str] | None) -> "Stored":
        """The same event as a new message: nothing was started yet."""
        wire = self.wire if headers is None else Wire(headers, self.wire.body, self.wire.key)
        return Stored(wire, self.origin)


@dataclass(slots=True, eq=False)
class Signal:
    """Wakes those who wait, all at once."""

    waiters: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    async def wait(self) -> None:
        """Return at the next `set`."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        finally:
            # Woken waiters left the list in `set`; a cancelled one takes itself out.
            if waiter.cancelled():
                with suppress(ValueError):
                    self.waiters.remove(waiter)

    def set(self) -> None:
        """Wake everybody who waits now."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


@dataclass(slots=True, eq=False)
class StoredSubscription:
    """One consumer's share of a topic."""

    types: set[str]
    ready: deque[Stored] = field(default_factory=deque[Stored])
    waiting: list[tuple[float, int, Stored]] = field(default_factory=list[tuple[float, int, Stored]])
    dead: dict[str, Stored] = field(default_factory=dict[str, Stored])
    held: int = 0
    feeds: int = 0
    removed: bool = False
    arrived: Signal = field(default_factory=Signal)
    left: Signal = field(default_factory=Signal)

    def wants(self, type_: str | None) -> bool:
        """A message that says nothing of its type is everybody's: each consumer keeps it as a dead letter."""
        return type_ is None or type_ in self.types

    @property
    def stored(self) -> int:
        """Everything but the dead letters."""
        return len(self.ready) + len(self.waiting) + self.held

    def is_busy(self, now: float) -> bool:
        """Whether something is in somebody's hands, or can be taken now by a feed that is there."""
        due = bool(self.waiting) and self.waiting[0][0] <= now
        return self.held > 0 or (self.feeds > 0 and (due or bool(self.ready)))

    def put(self, stored: Stored) -> None:
        """Append, and tell the feeds."""
        self.ready.append(stored)
        self.arrived.set()

    def put_back(self, batch: list[Stored]) -> None:
        """Return to the head, in order: what was handed out first is handed out first again."""
        self.held -= len(batch)
        self.ready.extendleft(reversed(batch))
        self.arrived.set()

    def settled(self) -> None:
        """One event less in somebody's hands."""
        self.held -= 1
        self.left.set()


@dataclass(slots=True, eq=False)
class StoredTopic:
    """A topic, its durable subscriptions by consumer name, and the feeds that broadcast it."""

    subscriptions: dict[str, StoredSubscription] = field(default_factory=dict[str, StoredSubscription])
    broadcasts: list["Inlet"] = field(default_factory=list["Inlet"])
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, eq=False)
class Inlet:
    """Where a broadcast feed takes from. What it has no room for is gone, and counted."""

    room: int
    ready: deque[Stored] = field(default_factory=deque[Stored])
    missed: int = 0
    arrived: Signal = field(default_factory=Signal)

    def put(self, stored: Stored) -> None:
        """Append, or drop where the window is full."""
        if len(self.ready) >= self.room:
            self.missed += 1
        else:
            self.ready.append(stored)
        self.arrived.set()


class Link(Protocol):
    """One process's connection, as the broker sees it."""

    def cut(self) -> None:
        """It breaks."""
        ...


class InMemoryBroker:
    """The stored topics of one or more in-memory transports, and the alarm clock of their retries.

    Everything is as durable as this object. A subscription holds at most `capacity` events, its dead letters aside;
    what is published beyond waits for room.
    """

    __slots__ = ("_alarm", "_codec", "_links", "_sequence", "_topics", "capacity", "clock", "reachable")

    def __init__(self, *, capacity: int = 10_000, clock: Clock | None = None) -> None:
        self.capacity: int = capacity
        self.clock: Clock = clock or SystemClock()
        self.reachable: bool = True
        """False during an `outage`."""
        self._codec = JsonCodec()
        self._topics: dict[str, StoredTopic] = {}
        self._sequence = count(1)
        self._links: dict[Link, None] = {}
        self._alarm: tuple[float, asyncio.Task[None]] | None = None

    @property
    def busy(self) -> bool:
        """Whether an event is being handled, or could be now. Retries that wait, and events without a feed, could not."""
        now = self.clock.monotonic()
        if any(each.is_busy(now) for each in self._subscriptions()):
            return True
        return any(inlet.ready for topic in self._topics.values() for inlet in topic.broadcasts)

    @contextmanager
    def outage(self) -> Generator[None]:
        """All connections break, and until the block ends there are none; what is stored, and what retries wait for, stays.

        For tests of what an application does meanwhile.
        """
        self.reachable = False
        for link in tuple(self._links):
            link.cut()
        self.wake_senders()
        try:
            yield
        finally:
            self.reachable = True

    def topic(self, name: str) -> StoredTopic:
        """The topic of this name, made where there is none."""
        return self._topics.setdefault(name, StoredTopic())

    def forget_unused(self, name: str) -> None:
        """Nothing is stored of a topic that nobody subscribes to: topics may come and go by the thousand."""
        topic = self._topics.get(name)
        if topic is not None and not topic.subscriptions and not topic.broadcasts:
            del self._topics[name]

    def origin(self, topic: str) -> str:
        """A name for the next arriving event."""
        return f"memory:{topic}/{next(self._sequence)}"

    def type_of(self, wire: Wire) -> str | None:
        """The type by the headers, else by the body; None where it cannot be told."""
        if (named := wire.headers.get("type")) is not None:
            return named
        with suppress(MalformedMessage):
            return self._codec.peek(wire.body)[0]
        return None

    def put_later(self, subscription: StoredSubscription, stored: Stored, delay: float) -> None:
        """Append after `delay` seconds, never earlier."""
        due = self.clock.monotonic() + delay
        heappush(subscription.waiting, (due, next(self._sequence), stored))
        self._set_alarm()

    def join(self, link: Link) -> None:
        """A transport was opened."""
        self._links[link] = None
        self._set_alarm()

    def leave(self, link: Link) -> None:
        """A transport was closed. Waiting retries stay where they are; the last to leave stops the alarm."""
        del self._links[link]
        if not self._links and self._alarm is not None:
            self._alarm[1].cancel()
            self._alarm = None

    def wake_senders(self) -> None:
        """Those who wait for room look again: their transport may have been closed."""
        for subscription in self._subscriptions():
            subscription.left.set()

    def _set_alarm(self) -> None:
        due = min((s.waiting[0][0] for s in self._subscriptions() if s.waiting), default=None)
        if due is None or not self._links or (self._alarm is not None and self._alarm[0] <= due):
            return
        if self._alarm is not None:
            self._alarm[1].cancel()
        self._alarm = (due, asyncio.get_running_loop().create_task(self._ring(due), name="in-memory retries"))

    async def _ring(self, due: float) -> None:
        await self.clock.sleep(due - self.clock.monotonic())
        self._alarm = None
        now = self.clock.monotonic()
        for subscription in self._subscriptions():
            while subscription.waiting and subscription.waiting[0][0] <= now:
                subscription.put(heappop(subscription.waiting)[2])
        self._set_alarm()

    def _subscriptions(self) -> list[StoredSubscription]:
        return [each for topic in self._topics.values() for each in topic.subscriptions.values()]
