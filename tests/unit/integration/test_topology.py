"""A bus describes what is registered, as a value, without connecting."""

import dataclasses

import pytest

from events_core import Context, EventHandlerConsumer, InMemoryEventBus, IntegrationEvent, Registration, RetryPolicy
from events_core.integration import Flow, IntegrationEventBus, Topology
from events_core.memory import InMemoryBroker
from events_core.messages import Contract
from tests.unit.integration.scene import ORDERS, PAYMENTS, Line, Paid, Placed, Recorder

PLACED, PAID = Contract("scene.placed", 1), Contract("scene.paid", 1)


async def note(event: IntegrationEvent, context: Context) -> None: ...


@pytest.fixture
def registrations() -> tuple[Registration, ...]:
    billing = EventHandlerConsumer("billing", {Placed: [note], Paid: [note]})
    policy = RetryPolicy(delays=(1, 60), immediate=2)
    return (
        Registration(billing, ORDERS, events=(Placed,), retry=policy),
        Registration(billing, PAYMENTS, events=(Paid,)),
        Registration(Recorder("screen"), ORDERS, broadcast=True),
    )


def describe(*registrations: Registration) -> Topology:
    return InMemoryEventBus(source="shop", registrations=registrations).describe()


def test_a_description_names_topics_consumers_and_events_in_order(registrations: tuple[Registration, ...]) -> None:
    topology = describe(*registrations)
    assert topology.source == "shop"
    assert topology.topics == ("orders", "payments")
    assert topology.consumers == ("billing", "screen")
    assert topology.events == (PLACED, PAID)


def test_a_flow_says_what_follows_a_failure(registrations: tuple[Registration, ...]) -> None:
    billing, _, _ = describe(*registrations).flows
    assert billing == Flow(
        topic="orders",
        consumer="billing",
        events=(PLACED,),
        immediate=2,
        ladder=(1, 60),
        dead_letters=True,
        broadcast=False,
        ordered=False,
    )


def test_a_broadcast_flow_keeps_no_dead_letters(registrations: tuple[Registration, ...]) -> None:
    (screen,) = [flow for flow in describe(*registrations).flows if flow.broadcast]
    assert screen.consumer == "screen"
    assert screen.events == (PLACED, PAID)
    assert not screen.dead_letters


def test_the_flows_of_a_topic_are_found(registrations: tuple[Registration, ...]) -> None:
    topology = describe(*registrations)
    assert [flow.consumer for flow in topology.of_topic("orders")] == ["billing", "screen"]
    assert topology.of_topic("nothing") == ()


def test_a_bus_without_registrations_is_described_as_empty() -> None:
    assert describe() == Topology(source="shop", flows=())


def test_describing_does_not_connect(registrations: tuple[Registration, ...]) -> None:
    line = Line(InMemoryBroker())
    bus = IntegrationEventBus(line, source="shop", registrations=registrations)
    assert len(bus.describe().flows) == 3
    assert line.dials == 0


def test_a_description_cannot_be_changed() -> None:
    topology = describe(Registration(Recorder(), ORDERS))
    with pytest.raises(dataclasses.FrozenInstanceError):
        topology.source = "other"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(dataclasses.FrozenInstanceError):
        topology.flows[0].consumer = "other"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.anyio
async def test_a_description_follows_what_is_registered_while_the_bus_runs() -> None:
    registration = Registration(Recorder("guest"), ORDERS, broadcast=True)
    async with InMemoryEventBus(source="shop") as bus:
        await bus.register(registration)
        described = bus.describe()
        await bus.unregister(registration)
        assert described.consumers == ("guest",)
        assert bus.describe().consumers == ()
