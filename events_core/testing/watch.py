"""Knows what a bus is doing, so that a test can wait until it has nothing to do."""

import asyncio
import time
from typing import Final

from events_core.integration import Call, Context
from events_core.memory import InMemoryBroker
from events_core.messages import IntegrationEvent
from events_core.testing.clock import ManualClock

__all__ = ["Watch"]

_CALM_TURNS: Final = 20
"""A bus that did nothing for so many turns of the event loop has nothing to do: a step takes fewer."""
_EAGER_TURNS: Final = 500
_PAUSE: Final = 0.001
_PATIENCE: Final = 0.2
"""For so many seconds of real time a handler holds up the clock when it does not itself wait for the clock."""


class _Handled:
    """A delivery that is being handled."""

    __slots__ = ("began", "context", "task")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.task: asyncio.Task[object] | None = asyncio.current_task()
        self.began = time.monotonic()

    def __str__(self) -> str:
        return f"{self.context.consumer} handles {self.context.type} {self.context.id}"


class Watch:
    """A middleware that sees every handler begin and end."""

    __slots__ = ("_broker", "_clock", "_running", "_steps")

    def __init__(self, broker: InMemoryBroker, clock: ManualClock) -> None:
        self._broker = broker
        self._clock = clock
        self._running: set[_Handled] = set()
        self._steps = 0

    async def __call__(self, event: IntegrationEvent, context: Context, call: Call) -> None:
        """Note that the handlers run."""
        handled = _Handled(context)
        self._running.add(handled)
        self._steps += 1
        try:
            await call()
        finally:
            self._running.discard(handled)
            self._steps += 1

    async def idle(self, timeout: float) -> None:
        """Return when everything that can be handled now is handled; `TimeoutError` names what is not."""
        if not await self._calm(timeout, stuck_is_calm=False):
            what = ", ".join(sorted(map(str, self._running))) or "deliveries wait to be handled or settled"
            raise TimeoutError(f"the bus is not idle after {timeout:g} s: {what}")

    async def stuck_or_idle(self) -> None:
        """Return when nothing more happens by itself: what runs waits for the clock, or takes its time."""
        await self._calm(_PATIENCE * 25, stuck_is_calm=True)

    async def _calm(self, limit: float, *, stuck_is_calm: bool) -> bool:
        end = time.monotonic() + limit
        turns = calm = steps = 0
        while calm < _CALM_TURNS:
            resting = self._is_idle() or (stuck_is_calm and self._is_stuck())
            calm = calm + 1 if resting and steps == self._steps else 0
            steps = self._steps
            if time.monotonic() > end:
                return False
            # A handler in a thread needs the processor more than this loop does.
            await asyncio.sleep(0 if turns < _EAGER_TURNS else _PAUSE)
            turns += 1
        return True

    def _is_idle(self) -> bool:
        return not self._running and not self._broker.busy

    def _is_stuck(self) -> bool:
        given_up = time.monotonic() - _PATIENCE
        waits = self._clock.is_waited_for_by
        return bool(self._running) and all(each.began < given_up or waits(each.task) for each in self._running)
