"""The way from the outbox to the broker."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from events_core.clock import Clock, SystemClock
from events_core.errors import EventsError, UnsupportedCapability
from events_core.integration import IntegrationEventBus
from events_core.integration.backoff import Backoff
from events_core.outbox.idling import Idling
from events_core.outbox.sending import Outcomes, Sending
from events_core.outbox.settings import RelaySettings
from events_core.ports import Backlog, Claim, OutboxStore, Refused, Stored, Topic

__all__ = ["OutboxRelay", "RelayHealth"]

_log = logging.getLogger("events_core")
_PURGE_EVERY: Final = 60.0
_PURGE_AT_ONCE: Final = 5_000
_DEFAULT: Final = RelaySettings()
_FAREWELL: Final = 2.0
"""Seconds for writing down what was sent of a batch that is cut short."""
_DEFERRED: Final = 30.0
"""Seconds until an event is tried again whose topic is in trouble."""
_LISTEN_AGAIN: Final = 300.0
"""Seconds until wake-ups are tried again that did not arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayHealth:
    """How a relay gets on."""

    live: bool
    """It runs, and nothing broke that a restart would mend."""
    trouble: str
    """Why the last batch was not sent, or the outbox not read; empty when all is well."""
    listening: bool
    """Wake-ups come from the database; otherwise it polls."""
    sent: int
    """Events sent by this relay since it was made; the backlog has them no more, unless that could not be written down."""
    backlog: Backlog | None
    """What there is in the outbox, with that of other relays; None when the database cannot be asked."""
    oldest: float | None
    """For how many seconds the oldest event that could be sent has been waiting."""


class OutboxRelay:
    """Sends what was put into an outbox, at least once, with the ids it was put with.

    Several relays share an outbox: each batch is claimed by key, so that events of one key leave in order whichever relay
    sends them. `topics` are those that need more than a name. The bus is started by the caller, and outlives the relay.
    """

    def __init__(
        self,
        store: OutboxStore,
        bus: IntegrationEventBus,
        *,
        topics: Iterable[Topic] = (),
        settings: RelaySettings = _DEFAULT,
        listen: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._listen = listen
        self._clock = clock or SystemClock()
        self._sending = Sending(bus, topics, clock=self._clock, timeout=settings.timeout)
        self._idling = Idling(self._clock, settings.poll)
        self._backoff = Backoff(self._clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._unsettled: set[int] = set()
        self._listening = False
        self._trouble = ""
        self._sent = 0
        self._purged: float | None = None

    async def startup(self) -> None:
        """Begin to relay, in a task of its own. A database that cannot be reached yet is waited for."""
        if self._tasks:
            return
        self._stopping = asyncio.Event()
        self._tasks = [asyncio.create_task(self._work(), name="outbox relay")]
        if self._listen:
            self._tasks.append(asyncio.create_task(self._hear(), name="outbox wake-ups"))

    async def shutdown(self, deadline: float = 30.0) -> None:
        """Finish what is being sent and stop; what had no answer after `deadline` seconds is sent again by the next relay."""
        if not self._tasks:
            return
        self._stopping.set()
        self._idling.wake()
        tasks, self._tasks = self._tasks, []
        try:
            await asyncio.wait(tasks[:1], timeout=deadline)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        """Start up."""
        await self.startup()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut down."""
        await self.shutdown()

    def wake(self) -> None:
        """Look for events now: something was put. May be called from any thread."""
        self._idling.wake()

    async def relay_due(self) -> int:
        """Relay everything that is due now, without a running relay; how many events were sent.

        Raises:
            EventsError: what stands in the way, of the broker or of the database.
        """
        before = self._sent
        while True:
            claimed, outcomes = await self._relay_batch()
            if outcomes.trouble is not None:
                raise outcomes.trouble
            if not claimed:
                return self._sent - before

    async def health(self) -> RelayHealth:
        """How it gets on."""
        now, sent = self._clock.time(), self._sent
        backlog = None
        with suppress(EventsError):
            backlog = await self._store.backlog(now)
        return RelayHealth(
            live=bool(self._tasks) and not self._tasks[0].done(),
            trouble=self._trouble,
            listening=self._listening,
            sent=sent,
            backlog=backlog,
            oldest=now - backlog.oldest if backlog is not None and backlog.oldest is not None else None,
        )

    async def _work(self) -> None:
        while not self._stopping.is_set():
            trouble = await self._step()
            self._note("" if trouble is None else str(trouble) or type(trouble).__name__)
            if trouble is None:
                self._backoff.reset()
            else:
                await self._unless_stopped(self._backoff.wait())

    async def _unless_stopped(self, wait: Awaitable[None]) -> None:
        waits = [asyncio.ensure_future(wait), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _step(self) -> Exception | None:
        """Relay a batch, and wait if nothing could be sent. What went wrong passes: nothing is lost meanwhile."""
        try:
            claimed, outcomes = await self._relay_batch()
            await self._purge()
        except EventsError as error:
            return error
        except Exception as error:  # noqa: BLE001 a relay that ends would hold up every event for ever
            _log.exception("the outbox relay failed, and goes on")
            return error
        if claimed:
            self._idling.reset()
        if outcomes.trouble is None and not outcomes.sent and not self._stopping.is_set():
            self._note("")
            await self._idling.wait()
        return outcomes.trouble

    async def _relay_batch(self) -> tuple[int, Outcomes]:
        outcomes = Outcomes()
        try:
            return await self._relay_claimed(outcomes), outcomes
        finally:
            # Not before it is written down: whoever sees the number finds them gone from the backlog.
            self._sent += len(outcomes.sent)

    async def _relay_claimed(self, outcomes: Outcomes) -> int:
        settings, cut_short = self._settings, False
        async with self._store.claim(settings.batch, now=self._clock.time(), lease=settings.lease) as claim:
            if not claim.events:
                return 0
            new = await self._settle_known(claim)
            try:
                await self._sending.send(new, outcomes, go_on=lambda: not self._stopping.is_set())
            except asyncio.CancelledError:
                cut_short = True
            self._unsettled.update(event.position for event in outcomes.sent)
            async with asyncio.timeout(_FAREWELL if cut_short else None):
                await self._settle(claim, outcomes.sent, self._refused(outcomes))
        self._unsettled.difference_update(event.position for event in claim.events)
        if cut_short:
            raise asyncio.CancelledError
        return len(claim.events)

    async def _settle_known(self, claim: Claim) -> list[Stored]:
        """What is left to send. What was sent before, and could not be written down, is not sent again."""
        known = [event for event in claim.events if event.position in self._unsettled]
        if known:
            await self._settle(claim, known, [])
        return [event for event in claim.events if event.position not in self._unsettled]

    async def _settle(self, claim: Claim, sent: Iterable[Stored], refused: Iterable[Refused]) -> None:
        keep_at = self._clock.time() if self._settings.retention else None
        await claim.settle([event.position for event in sent], list(refused), keep_at=keep_at)

    def _refused(self, outcomes: Outcomes) -> list[Refused]:
        now = self._clock.time()
        refused: list[Refused] = []
        for event, error in outcomes.refused:
            failures = event.failures + 1
            due = self._settings.due(failures, now)
            what = "is parked" if due is None else "is tried again"
            _log.warning("event %s of the outbox was refused and %s: %s", _name(event), what, error)
            refused.append(Refused(event.position, error, failures, due))
        for event, error in outcomes.deferred:
            _log.warning("event %s of the outbox waits for its topic: %s", _name(event), error)
            # Those of its key behind it wait for an event that has failed.
            refused.append(Refused(event.position, error, max(event.failures, 1), now + _DEFERRED))
        return refused

    def _note(self, trouble: str) -> None:
        if bool(trouble) != bool(self._trouble):
            _log.warning("the outbox waits: %s", trouble) if trouble else _log.info("the outbox is relayed again")
        self._trouble = trouble

    async def _purge(self) -> None:
        now = self._clock.monotonic()
        if self._purged is not None and now - self._purged < _PURGE_EVERY:
            return
        deleted = await self._store.purge(self._clock.time() - self._settings.retention, _PURGE_AT_ONCE)
        if deleted < _PURGE_AT_ONCE:
            self._purged = now

    async def _hear(self) -> None:
        backoff = Backoff(self._clock)
        while True:
            again = backoff.wait
            try:
                await self._store.listen(self._heard)
            except UnsupportedCapability as error:
                _log.warning("the outbox relay polls: %s", error)
                again = self._listen_later
            except EventsError as error:
                _log.info("the outbox relay listens anew: %s", error)
            except Exception:  # noqa: BLE001 without this task nobody would listen any more
                _log.exception("the outbox relay listens anew")
            if self._listening:
                backoff.reset()
            self._listening = False
            await again()

    async def _listen_later(self) -> None:
        await self._clock.sleep(_LISTEN_AGAIN)

    def _heard(self) -> None:
        self._listening = True
        self._idling.wake()


def _name(event: Stored) -> str:
    """What it is found by."""
    return f"at {event.position}" if event.envelope is None else event.envelope.id
