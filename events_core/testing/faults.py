"""Failures that a test asks for."""

from collections import deque

from events_core.errors import EventsError
from events_core.integration import Call, Context
from events_core.messages import IntegrationEvent

__all__ = ["Faults"]


class Faults:
    """What is to fail, and how often."""

    __slots__ = ("_handling", "_sending")

    def __init__(self) -> None:
        self._handling: dict[str, deque[Exception]] = {}
        self._sending: deque[EventsError] = deque()

    def fail_handling(self, consumer: str, error: Exception, times: int) -> None:
        """Plan failures of a consumer."""
        self._handling.setdefault(consumer, deque()).extend([error] * times)

    def fail_sending(self, error: EventsError, times: int) -> None:
        """Plan failures of sends."""
        self._sending.extend([error] * times)

    def next_of_sending(self) -> EventsError | None:
        """The error for this send, or None."""
        return self._sending.popleft() if self._sending else None

    async def __call__(self, event: IntegrationEvent, context: Context, call: Call) -> None:
        """A middleware: fail instead of the handlers."""
        if planned := self._handling.get(context.consumer):
            raise planned.popleft()
        await call()
