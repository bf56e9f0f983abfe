"""A clock that only moves when it is told to."""

import asyncio
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final

__all__ = ["ManualClock"]

_A_MORNING: Final = 1_767_254_400.0
"""2026-01-01T08:00:00Z."""
_TURNS: Final = 20

Sleeper = tuple[float, int, "asyncio.Future[None]", "asyncio.Task[object] | None"]


class ManualClock:
    """Time stands still until `advance` moves it; then sleepers wake in the order of their due time.

    `start` is the first reading of `time()`, in seconds since the epoch; `monotonic()` starts at 0.
    """

    __slots__ = ("_now", "_sequence", "_sleepers", "_start", "_waits")

    def __init__(self, start: float = _A_MORNING) -> None:
        self._start = start
        self._now = 0.0
        self._sequence = count()
        self._sleepers: list[Sleeper] = []
        self._waits: list[Callable[[], Awaitable[None]]] = []

    def time(self) -> float:
        """Seconds since the epoch, as moved by hand."""
        return self._start + self._now

    def monotonic(self) -> float:
        """Seconds by which it was moved so far."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once it was moved so far; at once, after a turn of the event loop, for none."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self._now + seconds, next(self._sequence), awake, asyncio.current_task()))
        await awake

    def is_waited_for_by(self, task: "asyncio.Task[object] | None") -> bool:
        """Whether this task sleeps on this clock."""
        return any(sleeper is task and not awake.done() for _, _, awake, sleeper in self._sleepers)

    def between(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for this, too, each time before `advance` moves on."""
        self._waits.append(wait)

    async def advance(self, seconds: float) -> None:
        """Move on by so many seconds. Who is woken works as far as it gets before anybody later is woken."""
        if seconds < 0:
            raise ValueError(f"time only moves forward, not by {seconds} s")
        target = self._now + seconds
        await self._settle()
        while (due := self._next_due()) is not None and due <= target:
            self._now = max(self._now, due)
            self._wake()
            await self._settle()
        self._now = target

    def _next_due(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _wake(self) -> None:
        while (due := self._next_due()) is not None and due <= self._now:
            heappop(self._sleepers)[2].set_result(None)

    async def _settle(self) -> None:
        for _ in range(0 if self._waits else _TURNS):
            await asyncio.sleep(0)
        for wait in self._waits:
            await wait()
