"""The engine of one durable registration: subscribes, hands deliveries to workers, comes back after a lost connection."""

import asyncio
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from events_core.clock import Clock
from events_core.errors import ConnectionLost
from events_core.integration.alerts import Alerts
from events_core.integration.backoff import Backoff
from events_core.integration.deadlines import Deadlines
from events_core.integration.handling import Handling, Run
from events_core.integration.health import SubscriptionHealth
from events_core.integration.intake import Intake
from events_core.integration.progress import Progress
from events_core.integration.registration import Registration
from events_core.integration.suspicion import Suspicion, convict, judge, mark
from events_core.integration.tasks import Running, Spawn
from events_core.integration.workers import Job, Workers
from events_core.ports import AlertKind, Delivery, Feed, Settlement, Subscription, Transport, Verdict

__all__ = ["Engine", "Surroundings"]

_SETTLING: Final = 5.0
"""Seconds at shutdown in which the broker has to take the last settlements."""
_CALM: Final = 10
"""So many deliveries above suspicion, one after the other, end solo mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the engines of a bus share."""

    transport: Transport
    clock: Clock
    deadlines: Deadlines
    spawn: Spawn
    alerts: Alerts


class Engine:
    """Runs one registration against its feed."""

    def __init__(self, registration: Registration, handling: Handling, surroundings: Surroundings) -> None:
        self.registration: Registration = registration
        self._handling = handling
        self._surroundings = surroundings
        self._workers = Workers(
            registration.concurrency, self._handle, clock=surroundings.clock, spawn=surroundings.spawn
        )
        self._intake: Intake | None = None
        self._progress = Progress()
        self._supervisor: Running | None = None
        hold_limit = surroundings.transport.capabilities.hold_limit
        self._patience = None if hold_limit is None else hold_limit / 2
        self._stopping = False
        self._solo = False
        self._calm = 0
        self._last_received: float | None = None

    async def start(self) -> None:
        """Subscribe, then consume in the background. Raises what subscribing raises."""
        self._intake = await self._subscribe()
        self.start_in_background()

    def is_handled_by(self, task: "asyncio.Task[object] | None") -> bool:
        """Whether this task runs one of its handlers."""
        return self._workers.are_run_by(task)

    def start_in_background(self) -> None:
        """Consume, subscribing as soon as there is a connection."""
        self._supervisor = self._surroundings.spawn(self._supervise(), f"subscription {self.registration.name}")

    async def drain(self, seconds: float) -> None:
        """Give back what has not begun, wait for what runs, cancel it after `seconds`; then everything is settled."""
        self._stopping = True
        self._surroundings.deadlines.forget(self)
        intake = self._intake
        if intake is not None:
            await self._stop(intake)
        await self._workers.finish(seconds)
        if intake is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SETTLING):
                    await intake.settled()
        if self._supervisor is not None:
            await self._supervisor.end()

    def expire(self) -> None:
        """Give back what has waited here for half of what the broker lets one hold, before it is taken back."""
        if self._patience is None:
            return
        latest = self._surroundings.clock.monotonic() - self._patience
        for job in self._workers.withdraw(lambda job: job.since <= latest):
            job.origin.release([job.delivery])
        self._watch_waiting()

    def revoke(self, feed: Feed, lanes: frozenset[Hashable]) -> None:
        """Begin nothing more from these lanes of this feed."""
        intake = self._intake
        if intake is not None and intake.feed is feed:
            self._give_back(intake, lanes)

    async def health(self) -> SubscriptionHealth:
        """How this registration gets on."""
        now = self._surroundings.clock.monotonic()
        intake = self._intake
        lag = None if intake is None else await _lag(intake)
        return SubscriptionHealth(
            consumer=self.registration.consumer.name,
            topic=self.registration.topic.name,
            connected=intake is not None and not intake.lost,
            solo=self._solo,
            held=0 if intake is None or intake.lost else intake.held,
            running=tuple(now - run.since for run in self._workers.running),
            last_received=None if self._last_received is None else now - self._last_received,
            lag=lag,
        )

    async def look(self) -> None:
        """Subscribe anew where events wait and, look after look, the feed hands out none."""
        intake, supervisor = self._intake, self._supervisor
        lag = None if intake is None else await _lag(intake)
        if intake is None or supervisor is None or intake is not self._intake or self._stopping:
            return
        if not self._progress.stands_still(lag=lag, held=intake.held, received=self._last_received):
            return
        self._lose(AlertKind.STALLED, f"{lag} events wait and none arrived; subscribing anew")
        # Such a feed may not even end when it is told to: whoever waits for it is ended first.
        await supervisor.end()
        await _abandon(intake)
        if not self._stopping:
            self.start_in_background()

    async def _supervise(self) -> None:
        backoff = Backoff(self._surroundings.clock)
        while not self._stopping:
            try:
                intake = self._intake = self._intake or await self._subscribe()
                backoff.reset()
                await self._consume(intake)
            except ConnectionLost as error:
                self._lose(AlertKind.CONNECTION_LOST, _said(error))
                await backoff.wait()
            except Exception as error:  # noqa: BLE001 whatever the broker says, the next try may work
                broken = self._intake
                self._lose(AlertKind.REFUSED, _said(error))
                if broken is not None:
                    await _abandon(broken)
                await backoff.wait()

    async def _subscribe(self) -> Intake:
        registration, surroundings = self.registration, self._surroundings
        window = 1 if self._solo else registration.prefetch
        feed = await surroundings.transport.subscribe(
            Subscription(
                consumer=registration.consumer.name,
                topic=registration.topic,
                types=self._handling.types,
                delays=registration.retry.steps,
                window=window,
                earliest=registration.start == "earliest",
            )
        )
        if self._stopping:
            # It was drained meanwhile: nobody would settle what this feed hands out.
            await feed.stop()
            raise ConnectionLost("the registration was drained")
        return Intake(
            registration.name,
            feed,
            window,
            clock=surroundings.clock,
            spawn=surroundings.spawn,
            alerts=surroundings.alerts,
        )

    async def _consume(self, intake: Intake) -> None:
        """Until the feed is stopped: for good, or to be replaced by one with another window."""
        while deliveries := await intake.receive():
            self._last_received = self._surroundings.clock.monotonic()
            if self._stopping:
                intake.release(deliveries)
            elif self._solo:
                self._take_alone(intake, deliveries)
            elif any(judge(each, self.registration.max_deliveries) is not Suspicion.NONE for each in deliveries):
                await self._change_mode(intake, deliveries, solo=True)
            else:
                self._take(intake, deliveries)
            if self._solo and self._calm >= _CALM and not self._stopping:
                await self._change_mode(intake, (), solo=False)
        if not self._stopping:
            if not intake.lost:
                await self._workers.idle()
                await intake.settled()
            self._intake = None

    def _take(self, intake: Intake, deliveries: Sequence[Delivery]) -> None:
        now = self._surroundings.clock.monotonic()
        self._workers.submit([Job(delivery, intake, now) for delivery in deliveries])
        self._watch_waiting()

    def _watch_waiting(self) -> None:
        if self._patience is not None and self._workers.waiting:
            waited = self._surroundings.clock.monotonic() - self._workers.waiting[0].since
            self._surroundings.deadlines.watch(self, self._patience - waited)

    def _take_alone(self, intake: Intake, deliveries: Sequence[Delivery]) -> None:
        limit = self.registration.max_deliveries
        for delivery in deliveries:
            suspicion = judge(delivery, limit)
            self._calm = self._calm + 1 if suspicion is Suspicion.NONE else 0
            if suspicion is Suspicion.SUSPECT:
                intake.settle(mark(delivery, limit))
            elif suspicion is Suspicion.GUILTY:
                now = self._surroundings.clock.time()
                intake.settle(convict(delivery, limit, self.registration.name, now))
            else:
                self._take(intake, [delivery])

    async def _change_mode(self, intake: Intake, deliveries: Sequence[Delivery], *, solo: bool) -> None:
        """Give back what has not begun, and let the feed end: the next one has the other window."""
        self._solo = solo
        self._calm = 0
        intake.release(deliveries)
        await self._stop(intake)

    async def _stop(self, intake: Intake) -> None:
        if intake.lost:
            return
        with suppress(ConnectionLost):
            await intake.feed.stop()
        self._give_back(intake)

    def _give_back(self, intake: Intake, lanes: frozenset[Hashable] | None = None) -> None:
        jobs = self._workers.withdraw(
            lambda job: job.origin is intake and (lanes is None or job.delivery.lane in lanes)
        )
        intake.release(job.delivery for job in jobs)

    async def _handle(self, job: Job[Intake], run: Run) -> None:
        try:
            settlement = await self._handling(job.delivery, run)
        except BaseException:
            job.origin.settle(Settlement(job.delivery, Verdict.RELEASE))
            raise
        job.origin.settle(settlement)

    def _lose(self, kind: AlertKind, detail: str) -> None:
        if self._intake is not None:
            self._intake.lose()
            lost = self._intake
            self._workers.withdraw(lambda job: job.origin is lost)
        self._intake = None
        if not self._stopping:
            self._surroundings.alerts.report(kind, self.registration.name, detail)


async def _lag(intake: Intake) -> int | None:
    with suppress(Exception):
        return await intake.feed.lag()
    return None


async def _abandon(intake: Intake) -> None:
    """End a feed that did not end by itself: what it holds would be held for ever."""
    with suppress(Exception):
        async with asyncio.timeout(_SETTLING):
            await intake.feed.stop()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
