"""What stands between the outbox, the inbox and a database.

Times are seconds since the epoch and come in: a store has no clock of its own. Errors are those of
`events_core.errors`; every call ends in time, also when the database does not answer.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from events_core.messages import Envelope

__all__ = [
    "Backlog",
    "Claim",
    "Inbox",
    "Once",
    "OutboxStore",
    "OutboxWriter",
    "Received",
    "Refused",
    "Stored",
    "Waiting",
]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event on its way into an outbox."""

    topic: str
    envelope: Envelope
    since: float
    """When it was put."""
    due: float | None = None
    """Not to be sent before; None: as soon as possible."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event of an outbox, claimed to be sent."""

    position: int
    """Its place in the outbox: later events have higher ones."""
    topic: str
    key: str | None
    envelope: Envelope | None
    """None where the row cannot be read; `problem` says why."""
    failures: int
    """How often it was refused so far."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that could not be sent, by its own fault."""

    position: int
    error: str
    failures: int
    """How often by now."""
    due: float | None
    """When to try again; None: never, it is parked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much there is in an outbox."""

    waiting: int
    """Events that could be sent now, or wait for another try."""
    scheduled: int
    """Events whose time has not come."""
    parked: int
    """Events that were given up: look at their error, then `retry` or `discard` them."""
    oldest: float | None
    """Since when the oldest of the waiting could have been sent."""


class OutboxWriter(Protocol):
    """The outbox's end of one transaction."""

    def write(self, event: Waiting) -> None:
        """Store it when the transaction commits, after everything it wrote so far. Does no I/O."""
        ...


class Claim(Protocol):
    """Events that nobody else sends, as long as the claim is open."""

    @property
    def events(self) -> Sequence[Stored]:
        """In the order in which events of one key are to be sent."""
        ...

    async def settle(self, sent: Sequence[int], refused: Sequence[Refused], *, keep_at: float | None) -> None:
        """Write down what became of them, by position. What is in neither stays as it was.

        Sent events are deleted, or, with `keep_at`, kept as sent at that time.

        Raises:
            StoreUnavailable: the outcome is unknown; whatever was not written down will be claimed again.
        """
        ...


class OutboxStore(Protocol):
    """The relay's end of an outbox. Errors are `StoreUnavailable`, and `AccessRefused`."""

    def claim(self, limit: int, *, now: float, lease: float) -> AbstractAsyncContextManager[Claim]:
        """Up to `limit` events that are due, earlier ones first; a claim on no events when there is nothing to do.

        Claims go by key: while one is open, no other has an event of the same topic and key. Nor has any claim an event
        that stands behind a refused one of its key which waits for its next try. A claim ends with its block, with the
        connection of its process, or after `lease` seconds.
        """
        ...

    async def backlog(self, now: float) -> Backlog:
        """Count."""
        ...

    async def purge(self, before: float, limit: int) -> int:
        """Delete events that were kept as sent before; at most so many, and say how many."""
        ...

    async def parked(self, limit: int) -> Sequence[tuple[Stored, str]]:
        """Parked events with their errors, the oldest first."""
        ...

    async def retry(self, *ids: str) -> int:
        """Let parked events be sent again, by event id; how many there were."""
        ...

    async def discard(self, *ids: str) -> int:
        """Delete parked events, by event id; how many there were."""
        ...

    async def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever a transaction that asked for it has put something, in any process; until cancelled.

        Raises:
            StoreUnavailable: the connection broke; listen again.
            UnsupportedCapability: no wake-ups arrive over this way to the database; poll.
        """
        ...


class Received(Protocol):
    """What an inbox knows a delivery by; the `Context` of a handler is one."""

    @property
    def id(self) -> str:
        """The event's id."""
        ...

    @property
    def consumer(self) -> str:
        """The consumer's name."""
        ...

    @property
    def handler(self) -> str:
        """The handler's name; empty for all handlers of the consumer together."""
        ...


class Once(Protocol):
    """A block that runs for the first delivery of an event only, in `async with`, or in `with` where nothing waits.

    Entering it raises `AlreadyHandled` for every other one.
    """

    async def __aenter__(self) -> None: ...
    async def __aexit__(self, *_: object) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


class Inbox(Protocol):
    """Remembers what was handled, in the handler's own transaction."""

    def once(self, received: Received) -> Once:
        """Guard a block: what it does, and that it was done, commits or vanishes together.

        Of two transactions with the same delivery the second waits for the first, or fails.
        """
        ...
