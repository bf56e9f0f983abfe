"""What a feed handed out, or is about to."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import cast

from events_core.errors import ConnectionLost
from events_core.ports import Delivery
from events_kafka.lane import Lane
from events_kafka.library import Record
from events_kafka.wire import origin_of, read, returns_of

__all__ = ["Inbox", "place_of"]


class Inbox:
    """The deliveries of one feed: within its window, taken in order, and all lost at once."""

    def __init__(self, window: int) -> None:
        self.window: int = window
        self.lanes: set[Lane] = set()
        """Those that are ours, or were a moment ago."""
        self.stopped = False
        self._ready: deque[Delivery] = deque()
        self._lost: str | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def held(self) -> int:
        """How many are handed out, or about to be."""
        return sum(len(lane.held) for lane in self.lanes)

    @property
    def room(self) -> int:
        """How many more may be."""
        return 0 if self.stopped else self.window - self.held

    @property
    def lost(self) -> bool:
        """Whether everything was lost."""
        return self._lost is not None

    def put(self, lane: Lane, record: Record, starts: int) -> None:
        """Hand out a record of a lane."""
        starts += returns_of(record)
        self._ready.append(Delivery(read(record), origin_of(record), starts, lane.partition, (lane, record)))

    def take(self, limit: int) -> list[Delivery]:
        """Up to `limit` of what is ready. Raises `ConnectionLost`."""
        self.check()
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def withdraw(self, lanes: Iterable[Lane]) -> None:
        """What of these lanes was not taken goes back."""
        leaving = set(lanes)
        staying: deque[Delivery] = deque()
        for delivery in self._ready:
            lane, record = place_of(delivery)
            if lane in leaving:
                lane.release(record.offset)
            else:
                staying.append(delivery)
        self._ready = staying

    def holds(self, delivery: Delivery) -> bool:
        """Whether it came from here, is not settled and was not lost."""
        lane, record = place_of(delivery)
        return lane in self.lanes and record.offset in lane.held

    def forget(self, lane: Lane) -> None:
        """It is somebody else's."""
        self.lanes.discard(lane)
        self.ring()

    def end(self, reason: str) -> None:
        """All is lost."""
        if self._lost is None:
            self._lost = reason
            self.lanes.clear()
            self._ready.clear()
            self.ring()

    def check(self) -> None:
        """Raise `ConnectionLost` when all is lost."""
        if self._lost is not None:
            raise ConnectionLost(self._lost)

    def ring(self) -> None:
        """Let those who wait look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def changed(self, seconds: float | None = None) -> None:
        """Return when there is something new to look at, or after so many seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter
        finally:
            self._waiters.discard(waiter)


def place_of(delivery: Delivery) -> tuple[Lane, Record]:
    """Where it came from."""
    return cast("tuple[Lane, Record]", delivery.token)
