"""Outbox and inbox in the memory of this process: for tests, and to begin with."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from events_core.errors import AlreadyHandled, ConfigurationError, StoreUnavailable
from events_core.ports import Backlog, Claim, Once, Received, Refused, Stored, Waiting

__all__ = ["InMemoryInbox", "InMemoryOutboxStore"]


@dataclass(slots=True)
class _Row:
    """An event at rest."""

    event: Waiting
    due: float
    failures: int = 0
    error: str = ""
    sent: float | None = None
    parked: bool = False

    @property
    def key(self) -> tuple[str, str] | None:
        key = self.event.envelope.key
        return None if key is None else (self.event.topic, key)

    @property
    def waits(self) -> bool:
        return self.sent is None and not self.parked


@dataclass(slots=True)
class _Written:
    """One transaction's events."""

    events: list[Waiting] = field(default_factory=list[Waiting])

    def write(self, event: Waiting) -> None:
        self.events.append(event)


class InMemoryOutboxStore:
    """As durable as this object. Give `write` to an `Outbox` for events that are stored at once, or use a transaction."""

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}
        self._last = 0
        self._claimed: set[tuple[str, str]] = set()
        self._held: set[int] = set()
        self._listeners: list[Callable[[], None]] = []

    @property
    def kept(self) -> int:
        """How many events are kept although they were sent."""
        return sum(row.sent is not None for row in self._rows.values())

    def write(self, event: Waiting) -> None:
        """Store it now."""
        self._last += 1
        self._rows[self._last] = _Row(event, event.due or 0.0)
        for wake in self._listeners:
            wake()

    @contextmanager
    def transaction(self) -> Generator[_Written]:
        """A writer whose events are stored together at the end of the block, unless it ends with an error."""
        written = _Written()
        yield written
        for event in written.events:
            self.write(event)

    @asynccontextmanager
    async def claim(self, limit: int, *, now: float, lease: float) -> AsyncGenerator[Claim]:
        """Claim by key; the lease is that of this process."""
        events = self._claimable(limit, now)
        keys = {(each.topic, each.key) for each in events if each.key is not None}
        positions = {each.position for each in events}
        self._claimed |= keys
        self._held |= positions
        try:
            yield _Claim(self, events)
        finally:
            self._claimed -= keys
            self._held -= positions

    async def backlog(self, now: float) -> Backlog:
        """Count."""
        waiting = [row for row in self._rows.values() if row.waits]
        ready = [row for row in waiting if row.due <= now or row.failures]
        return Backlog(
            waiting=len(ready),
            scheduled=len(waiting) - len(ready),
            parked=sum(row.parked for row in self._rows.values()),
            oldest=min((max(row.event.since, row.event.due or 0.0) for row in ready), default=None),
        )

    async def purge(self, before: float, limit: int) -> int:
        """Delete what was sent before."""
        old = [position for position, row in self._rows.items() if row.sent is not None and row.sent < before][:limit]
        for position in old:
            del self._rows[position]
        return len(old)

    async def parked(self, limit: int) -> Sequence[tuple[Stored, str]]:
        """The oldest first."""
        parked = [(_stored(position, row), row.error) for position, row in self._rows.items() if row.parked]
        return parked[:limit]

    async def retry(self, *ids: str) -> int:
        """Let them be sent again."""
        found = self._parked(ids)
        for position in found:
            row = self._rows[position]
            row.parked, row.due, row.failures = False, 0.0, 0
        return len(found)

    async def discard(self, *ids: str) -> int:
        """Delete them."""
        found = self._parked(ids)
        for position in found:
            del self._rows[position]
        return len(found)

    async def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` for everything that is stored, until cancelled."""
        self._listeners.append(wake)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._listeners.remove(wake)

    def settle(self, sent: Sequence[int], refused: Sequence[Refused], keep_at: float | None) -> None:
        """Write down what became of events."""
        for position in sent:
            if keep_at is None:
                del self._rows[position]
            else:
                self._rows[position].sent = keep_at
        for each in refused:
            row = self._rows[each.position]
            row.failures, row.error = each.failures, each.error
            row.due, row.parked = each.due or 0.0, each.due is None

    def _claimable(self, limit: int, now: float) -> list[Stored]:
        blocked = set(self._claimed)
        found: list[Stored] = []
        for position, row in self._rows.items():
            if not row.waits or position in self._held or row.key in blocked:
                continue
            if row.due > now:
                if row.failures and row.key is not None:
                    blocked.add(row.key)
                continue
            found.append(_stored(position, row))
            if len(found) == limit:
                break
        return found

    def _parked(self, ids: Sequence[str]) -> list[int]:
        return [position for position, row in self._rows.items() if row.parked and row.event.envelope.id in ids]


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one relay has in hand."""

    store: InMemoryOutboxStore
    events: Sequence[Stored]

    async def settle(self, sent: Sequence[int], refused: Sequence[Refused], *, keep_at: float | None) -> None:
        """Write down what became of them."""
        self.store.settle(sent, refused, keep_at)


def _stored(position: int, row: _Row) -> Stored:
    envelope = row.event.envelope
    return Stored(position, row.event.topic, envelope.key, envelope, row.failures)


class InMemoryInbox:
    """Remembers for as long as this object lives. What fails inside of `once` is forgotten again."""

    def __init__(self) -> None:
        self._handled: dict[tuple[str, str, str], _Running | None] = {}

    def once(self, received: Received) -> Once:
        """Guard a block; a second delivery of the event waits for the first."""
        return _Once(self._handled, (received.consumer, received.handler, received.id))


@dataclass(frozen=True, slots=True)
class _Running:
    """Somebody who handles a delivery, and when he has ended."""

    who: object
    ended: asyncio.Event


class _Once:
    """None: handled."""

    def __init__(self, handled: dict[tuple[str, str, str], _Running | None], delivery: tuple[str, str, str]) -> None:
        self._handled = handled
        self._delivery = delivery

    async def __aenter__(self) -> None:
        while (running := self._handled.get(self._delivery)) is not None:
            self._refuse_nesting(running)
            await running.ended.wait()
        self.__enter__()

    async def __aexit__(self, *failure: object) -> None:
        self.__exit__(*failure)

    def __enter__(self) -> None:
        running = self._handled.get(self._delivery)
        if running is not None:
            self._refuse_nesting(running)
            raise StoreUnavailable(f"somebody handles the event {self._delivery[2]} just now; try again")
        if self._delivery in self._handled:
            raise AlreadyHandled(f"{self._delivery[0]} has handled the event {self._delivery[2]}")
        self._handled[self._delivery] = _Running(_present(), asyncio.Event())

    def __exit__(self, *failure: object) -> None:
        running = self._handled.pop(self._delivery)
        if failure[0] is None:
            self._handled[self._delivery] = None
        if running is not None:
            running.ended.set()

    def _refuse_nesting(self, running: _Running) -> None:
        if running.who == _present():
            raise ConfigurationError(
                f"{self._delivery[0]} guards the event {self._delivery[2]} twice at once: make one `once` around both"
            )


def _present() -> object:
    """The task or, where there is none, the thread that runs this."""
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:
        return threading.get_ident()
