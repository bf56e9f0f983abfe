"""Reads that block, on a connection of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from events_core.errors import ConnectionLost, EventsError
from events_core.ports import Delivery
from events_redis.errors import translated
from events_redis.line import Line

__all__ = ["Reader"]

_LONGEST: Final = 500
"""Milliseconds that a read waits: where it cannot be interrupted, a reader that is told to stop is done within these."""

Read = Callable[[Line, int, int], Awaitable[list[Delivery]]]
"""Reads so many, waiting for so many milliseconds, over this line."""


class Reader:
    """One read at a time, which goes on when whoever asked for it is cancelled: the next one gets what it brings."""

    def __init__(self, line: Line, read: Read, ended: Callable[[], None] = lambda: None) -> None:
        self._line = line
        self._own = Line(line.dial, lost=self.end)
        self._block = min(_LONGEST, round(line.dial.timeout * 500))
        self._read = read
        self._ended = ended
        self._id = 0
        self._task: asyncio.Task[None] | None = None
        self._ready: list[Delivery] = []
        self.stopped: bool = False
        self.lost: str | None = None

    async def open(self) -> None:
        """Connect. Errors as in `Line.ask`."""
        try:
            await self._own.open()
            self._id = int(await self._own.ask("CLIENT", "ID"))
        except BaseException:
            self.end("it was not opened")
            raise

    async def bring(self, limit: int) -> Sequence[Delivery]:
        """Up to `limit`; none where there was nothing to read, or nothing is any more. Raises `ConnectionLost`."""
        self.check()
        if not self._ready:
            await self._finish_reading(limit)
        if not self.stopped:
            self.check()
        taken, self._ready = self._ready[:limit], self._ready[limit:]
        return taken

    async def stop(self) -> Sequence[Delivery]:
        """Read no more; what was read and nobody took, without waiting for anything new."""
        self.stopped = True
        if self._task is not None and not self._task.done():
            with suppress(EventsError):
                await self._line.ask("CLIENT", "UNBLOCK", self._id)
        if self._task is not None:
            await self._finish_reading(0)
        taken, self._ready = self._ready, []
        return taken

    def check(self) -> None:
        """Raise `ConnectionLost` once it ended."""
        if self.lost is not None:
            raise ConnectionLost(self.lost)

    def end(self, reason: str) -> None:
        """Read no more."""
        if self.lost is None:
            self.lost = reason
            self._ready.clear()
            if self._task is not None:
                self._task.cancel()
            self._own.close()
            self._ended()

    async def _finish_reading(self, limit: int) -> None:
        task = self._task = self._task or asyncio.create_task(self._try(limit))
        await asyncio.wait([task])
        if task is self._task:
            self._task = None

    async def _try(self, limit: int) -> None:
        try:
            async with translated(None):
                found = await self._read(self._own, limit, self._block)
                self._ready += found
        except EventsError as error:
            self.end(str(error))
