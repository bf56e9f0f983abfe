"""Time comes in: everything that waits or stamps asks a `Clock`, so that a test can move it by hand."""

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Where the time comes from. Both readings are in seconds and move together."""

    def time(self) -> float:
        """Seconds since the epoch, for what people and other services read."""
        ...

    def monotonic(self) -> float:
        """Seconds from any start, never going back, for deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after at least this many seconds; at once, after a turn of the event loop, for none."""
        ...


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some start of the machine's choice."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Suspend the calling task."""
        await asyncio.sleep(seconds)
