"""Group commit: while one write is on its way, later items gather, and the next write takes them all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from events_core.integration.tasks import Spawn

__all__ = ["GroupCommit"]

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Batches of what came together, in order; a lone item goes at once.

    `write` takes a batch and returns what is to be written again, before everything later. It does not raise.
    `on_idle` is called whenever everything is written.
    """

    __slots__ = ("_idle", "_limit", "_on_idle", "_overlap", "_spawn", "_waiting", "_write", "_writers")

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[T]]],
        *,
        spawn: Spawn,
        limit: int = 500,
        overlap: int = 2,
        on_idle: Callable[[], None] | None = None,
    ) -> None:
        self._write = write
        self._spawn = spawn
        self._limit = limit
        self._overlap = overlap
        self._on_idle = on_idle
        self._waiting: deque[T] = deque()
        self._writers = 0
        self._idle: list[asyncio.Future[None]] = []

    def add(self, item: T) -> None:
        """Write it with the next batch."""
        self._waiting.append(item)
        if self._writers < self._overlap:
            self._writers += 1
            self._spawn(self._write_all(), "group commit")

    async def drain(self) -> None:
        """Return when everything added so far is written."""
        if self._writers or self._waiting:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                size = min(self._limit, len(self._waiting))
                again = await self._write([self._waiting.popleft() for _ in range(size)])
                self._waiting.extendleft(reversed(again))
        finally:
            self._writers -= 1
            if not self._writers:
                self._wake()

    def _wake(self) -> None:
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)
        self._idle.clear()
        if self._on_idle is not None and not self._waiting:
            self._on_idle()
