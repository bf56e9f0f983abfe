"""Every deadline of a bus, kept by one task instead of a timer each."""

import asyncio
from typing import Final, Protocol

from events_core.clock import Clock

__all__ = ["Deadlines", "Expiring"]

_TICK: Final = 0.1
"""Seconds between two looks: a deadline is kept this exactly."""


class Expiring(Protocol):
    """Something that may take too long."""

    def expire(self) -> None:
        """Its time is over. Called once."""
        ...


class Deadlines:
    """Watches things until they are forgotten or expire; asleep while there is nothing to watch."""

    __slots__ = ("_clock", "_something", "_watched")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watched: dict[Expiring, float] = {}
        self._something = asyncio.Event()

    def watch(self, thing: Expiring, seconds: float) -> None:
        """Expire it after so many seconds, unless it is forgotten before."""
        if not self._watched:
            self._something.set()
        self._watched[thing] = self._clock.monotonic() + seconds

    def forget(self, thing: Expiring) -> None:
        """It is over in time, or has expired."""
        self._watched.pop(thing, None)

    async def run(self) -> None:
        """Keep the deadlines until cancelled."""
        while True:
            if not self._watched:
                self._something.clear()
                await self._something.wait()
            await self._clock.sleep(_TICK)
            now = self._clock.monotonic()
            for thing in [thing for thing, deadline in self._watched.items() if deadline <= now]:
                del self._watched[thing]
                thing.expire()
