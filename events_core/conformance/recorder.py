"""A consumer that remembers what it handled, and lets a test wait for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from events_core.conformance.events import Noted
from events_core.integration import Consumer, Context
from events_core.messages import IntegrationEvent

__all__ = ["Act", "Handled", "Recorder", "forever"]

Act = Callable[["Handled"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handled:
    """One call of the handler."""

    event: IntegrationEvent
    context: Context
    moment: float
    """When it began, on the monotonic clock."""

    @property
    def number(self) -> int:
        """The event's number: every event of the suite has one."""
        number: int = getattr(self.event, "number")  # noqa: B009 each event class has it, their root has not
        return number


class Recorder(Consumer):
    """Handles events by `act`, or at once. Waiting ends with an `AssertionError` after `patience` seconds."""

    def __init__(
        self, name: str, *, patience: float, events: Iterable[type[IntegrationEvent]] = (Noted,), act: Act | None = None
    ) -> None:
        self.name = name
        self.events: Iterable[type[IntegrationEvent]] = tuple(events)
        self.begun: list[Handled] = []
        self.done: list[Handled] = []
        self._act = act
        self._patience = patience
        self._changed = asyncio.Event()

    async def on_event(self, event: IntegrationEvent, context: Context) -> None:
        """Remember, act, remember."""
        handled = Handled(event, context, time.monotonic())
        self.begun.append(handled)
        self._tell()
        if self._act is not None:
            await self._act(handled)
        self.done.append(handled)
        self._tell()

    @property
    def numbers(self) -> Sequence[int]:
        """Of what was handled to the end, in order."""
        return [each.number for each in self.done]

    @property
    def attempts(self) -> Sequence[int]:
        """Of every call, in order."""
        return [each.context.attempt for each in self.begun]

    async def count(self, count: int) -> None:
        """Wait until so many calls have ended well."""
        await self._until(lambda: len(self.done) >= count, f"{count} events handled")

    async def begin(self, count: int) -> None:
        """Wait until so many calls have begun."""
        await self._until(lambda: len(self.begun) >= count, f"{count} calls begun")

    async def see(self, *numbers: int) -> None:
        """Wait until each of these was handled to the end."""
        await self._until(lambda: set(numbers) <= set(self.numbers), f"{numbers} handled")

    async def _until(self, condition: Callable[[], bool], wanted: str) -> None:
        try:
            async with asyncio.timeout(self._patience):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            begun = [each.number for each in self.begun]
            message = f"{self.name}: not {wanted} within {self._patience} s; begun {begun}, handled {self.numbers}"
            raise AssertionError(message) from None

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def forever(handled: Handled) -> None:
    """A handler that does not end by itself."""
    await asyncio.get_running_loop().create_future()
