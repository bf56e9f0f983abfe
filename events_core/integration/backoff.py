"""How long to wait before trying a broker again."""

import random
from typing import Final

from events_core.clock import Clock

__all__ = ["Backoff"]

_FIRST: Final = 0.05
_LONGEST: Final = 5.0


class Backoff:
    """Waits twice as long each time, up to 5 s, and up to a quarter less so that processes come back apart."""

    __slots__ = ("_clock", "_next")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = _FIRST

    async def wait(self) -> None:
        """Wait before the next try."""
        seconds, self._next = self._next, min(self._next * 2, _LONGEST)
        await self._clock.sleep(seconds * random.uniform(0.75, 1.0))  # noqa: S311 spreads load, protects nothing

    def reset(self) -> None:
        """It worked."""
        self._next = _FIRST
