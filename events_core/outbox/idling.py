import asyncio
from contextlib import suppress
from typing import Final

from events_core.clock import Clock

__all__ = ["Idling"]

_FIRST: Final = 0.02


class Idling:
    """Waits twice as long each time, up to `longest` seconds, unless somebody wakes it."""

    __slots__ = ("_clock", "_longest", "_loop", "_next", "_woken")

    def __init__(self, clock: Clock, longest: float) -> None:
        self._clock = clock
        self._longest = longest
        self._next = min(_FIRST, longest)
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """End the wait, or skip the next; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._woken.set)

    def reset(self) -> None:
        """There was something to do: look again soon."""
        self._next = min(_FIRST, self._longest)

    async def wait(self) -> None:
        """Wait until there may be something to do."""
        self._loop = asyncio.get_running_loop()
        seconds, self._next = self._next, min(self._next * 2, self._longest)
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        self._woken.clear()
