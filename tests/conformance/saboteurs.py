"""Transports that break one promise each, and the test of the suite that is meant to notice.

Not collected with the other tests: `test_saboteurs.py` runs this file by its name.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import pytest

from events_core.conformance import Connect, Faults, TransportConformance, Unsafe
from events_core.errors import ConnectionLost, EventsError, UnsafeBroker
from events_core.memory import InMemoryBroker, InMemoryTransport
from events_core.ports import (
    Alert,
    AlertKind,
    Capabilities,
    Delivery,
    Feed,
    Notify,
    Revoked,
    Settled,
    Settlement,
    Source,
    Subscription,
    Topic,
    Transport,
    Verdict,
    Wire,
)
from tests.conformance.memory import InMemoryFaults

SHORT: Final = 0.05
LONG: Final = 0.12


class Sabotage:
    """Nothing wrong yet. One instance for all processes of a test."""

    caught_by: ClassVar[str]
    only_there: ClassVar[bool] = False
    """Where every use of the broker would show it, it acts only on the topic of the test that is meant to notice."""

    def __init__(self) -> None:
        self.seen = Counter[str]()

    def concerns(self, topic: Topic) -> bool:
        return not self.only_there or topic.name.startswith(self.caught_by[:100])

    def publish(self, topic: Topic, wires: Sequence[Wire]) -> Iterable[Wire]:
        return wires

    async def hand_over(self, feed: Feed, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        return deliveries

    def settle(self, settlement: Settlement) -> Settlement:
        return settlement

    async def receive_when_lost(self) -> None: ...

    def settle_when_lost(self, broker: InMemoryBroker, topic: Topic, settlement: Settlement) -> None: ...

    def notices(self, notice: Revoked | Alert) -> bool:
        return True


class SabotagedFeed:
    def __init__(self, feed: Feed, sabotage: Sabotage, broker: InMemoryBroker, topic: Topic) -> None:
        self._feed = feed
        self._sabotage = sabotage
        self._broker = broker
        self._topic = topic

    async def receive(self, limit: int) -> Sequence[Delivery]:
        try:
            while deliveries := await self._feed.receive(limit):
                if handed_over := await self._sabotage.hand_over(self._feed, deliveries):
                    return handed_over
        except ConnectionLost:
            await self._sabotage.receive_when_lost()
            raise
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        try:
            return await self._feed.settle([self._sabotage.settle(each) for each in batch])
        except ConnectionLost:
            for each in batch:
                self._sabotage.settle_when_lost(self._broker, self._topic, each)
            raise

    async def lag(self) -> int | None:
        return await self._feed.lag()

    async def stop(self) -> None:
        await self._feed.stop()


class SabotagedTransport:
    def __init__(self, broker: InMemoryBroker, sabotage: Sabotage) -> None:
        self._transport = InMemoryTransport(broker)
        self._broker = broker
        self._sabotage = sabotage

    @property
    def capabilities(self) -> Capabilities:
        return self._transport.capabilities

    async def open(self, notify: Notify) -> None:
        def pass_on(notice: Revoked | Alert) -> None:
            if self._sabotage.notices(notice):
                notify(notice)

        await self._transport.open(pass_on)

    async def close(self) -> None:
        await self._transport.close()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        results = await self._transport.publish(topic, [*self._sabotage.publish(topic, batch)])
        return [*results, *[None] * len(batch)][: len(batch)]

    async def subscribe(self, subscription: Subscription) -> Feed:
        feed = await self._transport.subscribe(subscription)
        sabotaged = subscription.source is Source.EVENTS and self._sabotage.concerns(subscription.topic)
        return SabotagedFeed(feed, self._sabotage, self._broker, subscription.topic) if sabotaged else feed

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        await self._transport.remove(subscription, types=types, force=force)


class AcceptsEarly(Sabotage):
    """What was handed over is gone, whether or not it is ever handled."""

    caught_by = "test_a_delivery_that_its_process_did_not_survive_counts_no_attempt"
    only_there = True

    async def hand_over(self, feed: Feed, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        await feed.settle([Settlement(each, Verdict.ACCEPT) for each in deliveries])
        return deliveries


class LosesOne(Sabotage):
    """One event of a topic, the 150th, is answered and not stored."""

    caught_by = "test_every_one_of_many_sends_at_once_is_answered_and_arrives"

    def publish(self, topic: Topic, wires: Sequence[Wire]) -> Iterable[Wire]:
        for wire in wires:
            self.seen[topic.name] += 1
            if self.seen[topic.name] != 150:
                yield wire


class ForgetsTheAttempt(Sabotage):
    """The third attempt is not known as such."""

    caught_by = "test_attempts_are_counted_from_one"

    def settle(self, settlement: Settlement) -> Settlement:
        headers = settlement.headers or {}
        if settlement.verdict is Verdict.RETRY and headers.get("events-attempt") == "3":
            return replace(settlement, headers={n: v for n, v in headers.items() if n != "events-attempt"})
        return settlement


class RetriesEarly(Sabotage):
    """The first step of the ladder is no step."""

    caught_by = "test_a_retry_is_never_early"

    def settle(self, settlement: Settlement) -> Settlement:
        return replace(settlement, delay=0.0) if settlement.delay == SHORT else settlement


class DeliversTwice(Sabotage):
    """One event of a topic, the 30th, comes twice in calm."""

    caught_by = "test_processes_of_one_consumer_share_its_events_and_none_is_handled_twice_in_calm"

    def publish(self, topic: Topic, wires: Sequence[Wire]) -> Iterable[Wire]:
        for wire in wires:
            self.seen[topic.name] += 1
            yield wire
            if self.seen[topic.name] == 30:
                yield wire


class LeaksADelivery(Sabotage):
    """One delivery that is given back, the 15th, is never handed out again."""

    caught_by = "test_what_has_not_begun_goes_to_another_process_soon_and_uses_no_attempt"

    def settle(self, settlement: Settlement) -> Settlement:
        if settlement.verdict is Verdict.RELEASE:
            self.seen["released"] += 1
            if self.seen["released"] == 15:
                return replace(settlement, verdict=Verdict.ACCEPT)
        return settlement


class ConvictsANeighbour(Sabotage):
    """Everything under suspicion is charged with all there is."""

    caught_by = "test_an_event_that_keeps_ending_its_process_is_dead_lettered_and_its_neighbours_are_handled"

    async def hand_over(self, feed: Feed, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        return [replace(each, starts=100) if "events-suspect" in each.wire.headers else each for each in deliveries]


class SkipsAnUnknownVersion(Sabotage):
    """An event of version 2 is taken for handled."""

    caught_by = "test_an_unknown_version_waits_for_a_newer_process"

    async def hand_over(self, feed: Feed, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        skipped = [each for each in deliveries if each.wire.headers.get("eventversion") == "2"]
        await feed.settle([Settlement(each, Verdict.ACCEPT) for each in skipped])
        return [each for each in deliveries if each not in skipped]


class AcceptsLate(Sabotage):
    """An accept that comes after the connection was lost takes the event from whoever has it now."""

    caught_by = "test_an_accept_on_a_lost_feed_is_answered_as_lost_and_has_no_effect"

    def settle_when_lost(self, broker: InMemoryBroker, topic: Topic, settlement: Settlement) -> None:
        for subscription in broker.topic(topic.name).subscriptions.values():
            for stored in [each for each in subscription.ready if each is settlement.delivery.token]:
                subscription.ready.remove(stored)


class NeverLearnsOfALoss(Sabotage):
    """Who waits for the next delivery goes on waiting when the connection is lost."""

    caught_by = "test_a_waiting_receive_ends_when_the_connection_is_lost"
    only_there = True

    async def receive_when_lost(self) -> None:
        await asyncio.get_running_loop().create_future()


class HidesARecreation(Sabotage):
    """A subscription that had been deleted is made anew without a word."""

    caught_by = "test_a_subscription_deleted_on_the_broker_is_made_anew_and_reported"

    def notices(self, notice: Revoked | Alert) -> bool:
        return not isinstance(notice, Alert) or notice.kind is not AlertKind.RECREATED


class KeepsRetriesInTheProcess(Sabotage):
    """What waits for its retry waits where an outage ends it."""

    caught_by = "test_after_a_restart_every_confirmed_event_is_handled_and_waiting_retries_come_back"
    only_there = True

    def settle(self, settlement: Settlement) -> Settlement:
        return replace(settlement, verdict=Verdict.ACCEPT) if settlement.verdict is Verdict.RETRY else settlement


class TrustsEveryBroker(Sabotage):
    """It starts on a broker that would lose confirmed events."""

    caught_by = "test_what_would_lose_confirmed_events_is_refused_with_what_to_change"


SABOTEURS: Final = (
    AcceptsEarly,
    LosesOne,
    ForgetsTheAttempt,
    RetriesEarly,
    DeliversTwice,
    LeaksADelivery,
    ConvictsANeighbour,
    SkipsAnUnknownVersion,
    AcceptsLate,
    NeverLearnsOfALoss,
    HidesARecreation,
    KeepsRetriesInTheProcess,
    TrustsEveryBroker,
)


class ForgetfulTransport(InMemoryTransport):
    """On a broker that would lose confirmed events, and knows it."""

    async def open(self, notify: Notify) -> None:
        raise UnsafeBroker("this broker forgets what it confirmed; set memory = on")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop is enough to see the suite at work."""
    return "asyncio"


class Sabotaged(TransportConformance):
    patience = 3.0
    delays = (SHORT, LONG)
    sabotage: ClassVar[type[Sabotage]] = Sabotage

    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    def connect(self, broker: InMemoryBroker) -> Connect:
        sabotage = self.sabotage()
        return lambda: SabotagedTransport(broker, sabotage)

    @pytest.fixture
    def faults(self, broker: InMemoryBroker) -> Faults:
        return InMemoryFaults(broker)

    @pytest.fixture
    def unsafe(self) -> Unsafe | None:
        async def connect(consumer: str, topic: Topic) -> Transport:
            trusting = self.sabotage is TrustsEveryBroker
            return InMemoryTransport() if trusting else ForgetfulTransport()

        return Unsafe(connect=connect, setting="memory = on")


class TestSabotage(Sabotaged):
    """Wrapping alone breaks nothing."""


class TestAcceptsEarly(Sabotaged):
    sabotage = AcceptsEarly


class TestLosesOne(Sabotaged):
    sabotage = LosesOne


class TestForgetsTheAttempt(Sabotaged):
    sabotage = ForgetsTheAttempt


class TestRetriesEarly(Sabotaged):
    sabotage = RetriesEarly


class TestDeliversTwice(Sabotaged):
    sabotage = DeliversTwice


class TestLeaksADelivery(Sabotaged):
    sabotage = LeaksADelivery


class TestConvictsANeighbour(Sabotaged):
    sabotage = ConvictsANeighbour


class TestSkipsAnUnknownVersion(Sabotaged):
    sabotage = SkipsAnUnknownVersion


class TestAcceptsLate(Sabotaged):
    sabotage = AcceptsLate


class TestNeverLearnsOfALoss(Sabotaged):
    sabotage = NeverLearnsOfALoss


class TestHidesARecreation(Sabotaged):
    sabotage = HidesARecreation


class TestKeepsRetriesInTheProcess(Sabotaged):
    sabotage = KeepsRetriesInTheProcess


class TestTrustsEveryBroker(Sabotaged):
    sabotage = TrustsEveryBroker
