"""Broadcast: one feed a topic and process, fanned out to any number of registrations."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from events_core.errors import ConnectionLost, EventsError
from events_core.integration import attributes
from events_core.integration.backoff import Backoff
from events_core.integration.engine import Surroundings
from events_core.integration.handling import Handling, Run
from events_core.integration.health import SubscriptionHealth
from events_core.integration.registration import Registration
from events_core.integration.tasks import Running
from events_core.integration.workers import Job, Workers
from events_core.ports import (
    AlertKind,
    Delivery,
    Feed,
    Settlement,
    Source,
    Subscription,
    Topic,
    Verdict,
    Wire,
)

__all__ = ["Hub", "Member"]

_log = logging.getLogger("events_core")
_WINDOW = 1_000


class Member:
    """One registration of a broadcast topic: its window, its workers, and retries within the process."""

    def __init__(self, registration: Registration, handling: Handling, surroundings: Surroundings) -> None:
        self.registration: Registration = registration
        self._handling = handling
        self._surroundings = surroundings
        self._workers = Workers(
            registration.concurrency, self._handle, clock=surroundings.clock, spawn=surroundings.spawn
        )
        self._held = 0
        self._missed = 0
        self._last_received: float | None = None
        self._left = False

    def offer(self, delivery: Delivery) -> None:
        """Take it, drop it where the window is full, or pass over what this registration does not want."""
        named = delivery.wire.headers.get("type")
        if self._left or (named is not None and named not in self._handling.types):
            return
        if self._held >= self.registration.prefetch:
            self._missed += 1
            return
        if self._missed:
            self._report_gap()
        self._held += 1
        self._last_received = self._surroundings.clock.monotonic()
        self._submit(delivery)

    def is_handled_by(self, task: "asyncio.Task[object] | None") -> bool:
        """Whether this task runs one of its handlers."""
        return self._workers.are_run_by(task)

    def miss(self, detail: str) -> None:
        """The feed was gone for a while."""
        self._surroundings.alerts.report(AlertKind.GAP, self.registration.name, detail)

    async def drain(self, seconds: float) -> None:
        """Drop what has not begun, wait for what runs, cancel it after `seconds`."""
        self._left = True
        self._workers.withdraw(lambda _: True)
        await self._workers.finish(seconds)

    def health(self, *, connected: bool, lag: int | None) -> SubscriptionHealth:
        """How this registration gets on."""
        now = self._surroundings.clock.monotonic()
        return SubscriptionHealth(
            consumer=self.registration.consumer.name,
            topic=self.registration.topic.name,
            connected=connected,
            solo=False,
            held=self._held,
            running=tuple(now - run.since for run in self._workers.running),
            last_received=None if self._last_received is None else now - self._last_received,
            lag=lag,
        )

    async def _handle(self, job: Job[None], run: Run) -> None:
        try:
            settlement = await self._handling(job.delivery, run)
        except BaseException:
            self._held -= 1
            raise
        headers = settlement.headers or {}
        if settlement.verdict is Verdict.RETRY and attributes.WAITING_SINCE not in headers and not self._left:
            self._surroundings.spawn(self._again(settlement), "broadcast retry")
            return
        self._held -= 1
        if settlement.verdict is not Verdict.ACCEPT:
            reason = headers.get(attributes.REASON, "its contract is unknown here")
            _log.error("%s: dropped a broadcast event: %s", self.registration.name, reason)

    async def _again(self, settlement: Settlement) -> None:
        await self._surroundings.clock.sleep(settlement.delay)
        if self._left:
            return
        old = settlement.delivery
        wire = Wire(settlement.headers or {}, old.wire.body, old.wire.key)
        self._submit(Delivery(wire, old.origin, 1, old.lane, old.token))

    def _submit(self, delivery: Delivery) -> None:
        self._workers.submit([Job(delivery, None, self._surroundings.clock.monotonic())])

    def _report_gap(self) -> None:
        missed, self._missed = self._missed, 0
        self.miss(f"{missed} events found the window of {self.registration.prefetch} full")


class Hub:
    """The one broadcast feed of a topic in this process."""

    def __init__(self, topic: Topic, surroundings: Surroundings) -> None:
        self._topic = topic
        self._surroundings = surroundings
        self._feed: Feed | None = None
        self._supervisor: Running | None = None
        self.members: dict[str, Member] = {}

    async def start(self) -> None:
        """Subscribe, then fan out in the background. Raises what subscribing raises."""
        self._feed = await self._subscribe()
        self.start_in_background()

    def start_in_background(self) -> None:
        """Fan out, subscribing as soon as there is a connection."""
        if self._supervisor is None:
            self._supervisor = self._surroundings.spawn(self._supervise(), f"broadcast {self._topic.name}")

    async def stop(self) -> None:
        """End the feed."""
        if self._feed is not None:
            with suppress(EventsError):
                await self._feed.stop()
        if self._supervisor is not None:
            await self._supervisor.end()

    async def health(self) -> Sequence[SubscriptionHealth]:
        """How the members get on."""
        lag: int | None = None
        if self._feed is not None:
            with suppress(EventsError):
                lag = await self._feed.lag()
        return [member.health(connected=self._feed is not None, lag=lag) for member in self.members.values()]

    async def _supervise(self) -> None:
        backoff = Backoff(self._surroundings.clock)
        while True:
            try:
                self._feed = self._feed or await self._subscribe()
                backoff.reset()
                await self._fan_out(self._feed)
            except Exception as error:  # noqa: BLE001 whatever the broker says, the next try may work
                self._lose(error)
                await backoff.wait()
            else:
                return

    async def _fan_out(self, feed: Feed) -> None:
        while deliveries := await feed.receive(_WINDOW):
            for delivery in deliveries:
                for member in tuple(self.members.values()):
                    member.offer(delivery)
            await feed.settle([Settlement(delivery, Verdict.ACCEPT) for delivery in deliveries])

    def _lose(self, error: Exception) -> None:
        was_fed, self._feed = self._feed is not None, None
        kind = AlertKind.CONNECTION_LOST if isinstance(error, ConnectionLost) else AlertKind.REFUSED
        self._surroundings.alerts.report(kind, self._topic.name, str(error) or type(error).__name__)
        if was_fed:
            for member in self.members.values():
                member.miss("the feed was lost; events sent until it is back are missed")

    async def _subscribe(self) -> Feed:
        return await self._surroundings.transport.subscribe(
            Subscription(consumer="", topic=self._topic, source=Source.BROADCAST, window=_WINDOW)
        )
