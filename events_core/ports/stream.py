"""The way out of a unit of work: what it wants sent, and who takes it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from events_core.messages import DomainEvent, IntegrationEvent
from events_core.ports.values import Topic

__all__ = ["AfterCommit", "Outgoing", "Sink"]

AfterCommit = Callable[[], Awaitable[None] | None]
"""What is left to do once the transaction has committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """An event that is to leave the process, if its unit of work commits."""

    topic: Topic
    event: IntegrationEvent | DomainEvent
    key: str | None = None
    headers: Mapping[str, str] | None = None


class Sink(Protocol):
    """Takes what a unit of work sends: an outbox, a bus, a list."""

    def stage(self, outgoing: Sequence[Outgoing]) -> AfterCommit | None:
        """Called once, inside the transaction, right before its commit. Does no I/O.

        What it raises fails the commit: events that cannot travel are refused here. What it returns is called after
        the commit, and awaited if it is asynchronous; it is dropped where the commit fails.
        """
        ...
