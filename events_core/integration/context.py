"""What a handler is told beside the event."""

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from events_core.messages import IntegrationEvent

__all__ = ["Call", "Context", "Middleware", "current_context", "handling_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One delivery's metadata."""

    id: str
    """The event's id, the same over redelivery, retry and replay: what to deduplicate by."""
    type: str
    version: int
    """As sent; the event itself may have been upcast."""
    source: str
    """Who sent it; empty if a stranger did not say."""
    time: datetime | None
    """When it was sent, in UTC; None if a stranger did not say."""
    key: str | None
    attempt: int
    """1 at first, and one more after each failure of a handler."""
    correlation_id: str
    """The id of the event that began the story."""
    causation_id: str | None
    """The id of the event whose handler sent this one."""
    headers: Mapping[str, str]
    """The sender's own."""
    consumer: str
    topic: str
    handler: str = ""
    """Which of the consumer's handlers it is told to, by module and qualified name; empty in a middleware."""


Call = Callable[[], Awaitable[None]]
"""The rest of the way to the handlers."""


class Middleware(Protocol):
    """Stands around the handlers of one event: before and after `call()`, or instead of it.

    What it raises counts as a failure of the handlers.
    """

    async def __call__(self, event: IntegrationEvent, context: Context, call: Call) -> None:
        """Handle one event."""
        ...


_current: Final[ContextVar[Context | None]] = ContextVar("events_core.context", default=None)


def current_context() -> Context | None:
    """The metadata of the event that is being handled here; None outside of a handler.

    What is sent or put into an outbox meanwhile, over whichever bus, names that event as its cause.
    """
    return _current.get()


@contextmanager
def handling_in(context: Context) -> Generator[None]:
    """Inside, this is the current context."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
