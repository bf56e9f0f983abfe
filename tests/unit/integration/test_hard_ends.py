"""What must not stop a subscription, nor be lost, when several things happen at once."""

import asyncio

import pytest

from events_core import Context, IntegrationEvent, IntegrationEventBus, Registration, RetryLater, RetryPolicy
from events_core.errors import BusClosed, ConfigurationError
from events_core.memory import InMemoryBroker, InMemoryTransport
from events_core.ports import Feed, Subscription
from events_core.testing import TestBus
from tests.unit.integration.scene import ORDERS, Placed, Recorder

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(delays=())


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class SlowTransport(InMemoryTransport):
    """Subscribes when its test says so."""

    __slots__ = ("go_on", "subscribing")

    def __init__(self) -> None:
        super().__init__()
        self.subscribing = asyncio.Event()
        self.go_on = asyncio.Event()

    async def subscribe(self, subscription: Subscription) -> Feed:
        self.subscribing.set()
        await self.go_on.wait()
        return await super().subscribe(subscription)


@pytest.mark.parametrize("error", [FileNotFoundError("a\udcff"), Unspeakable()], ids=["surrogate", "no words"])
async def test_an_error_that_cannot_be_written_down_still_makes_a_dead_letter(error: Exception) -> None:
    async def fail(event: IntegrationEvent, context: Context) -> None:
        raise error

    registration = Registration(Recorder(act=fail), ORDERS, concurrency=1, prefetch=1, retry=ONCE)
    async with TestBus(registration) as bus:
        await bus.send(ORDERS, Placed())
        await bus.send(ORDERS, Placed())
        await bus.idle()
        letters = await bus.dead_letters("recorder", ORDERS).list()
    assert [letter.error.startswith(type(error).__name__) for letter in letters] == [True, True]


def test_a_retry_after_infinitely_many_seconds_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="finite number of seconds"):
        RetryLater(float("inf"))


async def test_a_registration_made_while_the_bus_starts_is_started_too() -> None:
    transport = SlowTransport()
    bus = IntegrationEventBus(transport, source="s", registrations=[Registration(Recorder("first"), ORDERS)])
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.startup())
        await transport.subscribing.wait()
        registering = bus.register(Registration(Recorder("second"), ORDERS))
        group.create_task(registering)
        transport.go_on.set()
    consumers = [each.consumer for each in (await bus.health()).subscriptions]
    await bus.shutdown()
    assert consumers == ["first", "second"]


async def test_shutdown_waits_for_a_handler_of_a_registration_that_is_leaving() -> None:
    ends: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(event: IntegrationEvent, context: Context) -> None:
        begun.set()
        await go_on.wait()
        ends.append("in peace")

    registration = Registration(Recorder(act=slow), ORDERS)
    bus = TestBus(registration)
    await bus.startup()
    await bus.send(ORDERS, Placed())
    await begun.wait()
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.unregister(registration))
        group.create_task(bus.unregister(registration))
        group.create_task(bus.shutdown())
        asyncio.get_running_loop().call_soon(go_on.set)
    assert (ends, bus.registrations) == (["in peace"], ())


@pytest.mark.parametrize("call", ["unregister", "shutdown"])
async def test_leaving_from_inside_a_handler_is_refused_as_it_would_wait_for_itself(call: str) -> None:
    async def leave(event: IntegrationEvent, context: Context) -> None:
        await (bus.shutdown() if call == "shutdown" else bus.unregister(registration))

    registration = Registration(Recorder(act=leave), ORDERS, retry=ONCE)
    async with TestBus(registration) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
        (letter,) = await bus.dead_letters("recorder", ORDERS).list()
    assert letter.error.startswith(f"ConfigurationError: {call}() was awaited inside a handler")


async def test_registering_on_a_draining_bus_is_refused() -> None:
    errors: list[Exception] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def register(event: IntegrationEvent, context: Context) -> None:
        begun.set()
        await go_on.wait()
        try:
            await bus.register(Registration(Recorder("late"), ORDERS))
        except BusClosed as error:
            errors.append(error)

    async with TestBus(Registration(Recorder(act=register), ORDERS)) as bus:
        await bus.send(ORDERS, Placed())
        await begun.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert [str(error) for error in errors] == ["the bus is shutting down; register before, or on the next start"]


async def test_retiring_a_type_makes_room_for_those_who_wait_for_it() -> None:
    broker = InMemoryBroker(capacity=1)
    leaver = IntegrationEventBus(
        InMemoryTransport(broker), source="s", registrations=[Registration(Recorder(), ORDERS)]
    )
    async with leaver:
        await leaver.unregister(leaver.registrations[0])
        await leaver.send(ORDERS, Placed())
        waiting = asyncio.create_task(leaver.send(ORDERS, Placed(), id="waits"))
        await asyncio.wait([waiting], timeout=0)
        await leaver.retire("recorder", ORDERS, Placed)
        assert await waiting == "waits"


async def test_a_cancelled_worker_drains() -> None:
    started = asyncio.Event()

    class Told(InMemoryTransport):
        async def subscribe(self, subscription: Subscription) -> Feed:
            started.set()
            return await super().subscribe(subscription)

    bus = IntegrationEventBus(Told(), source="s", registrations=[Registration(Recorder(), ORDERS)])
    running = asyncio.create_task(bus.run())
    await started.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not (await bus.health()).ready


async def test_an_event_that_is_a_dead_letter_twice_is_listed_and_replayed_once() -> None:
    async def fail(event: IntegrationEvent, context: Context) -> None:
        if len(recorder.got) <= len(copies):
            raise OSError("down")

    copies = ("first", "second")
    recorder = Recorder(act=fail)
    async with TestBus(Registration(recorder, ORDERS, concurrency=1, retry=ONCE)) as bus:
        for _ in copies:
            await bus.send(ORDERS, Placed(), id="twice")
        await bus.idle()
        letters = bus.dead_letters("recorder", ORDERS)
        assert [letter.id for letter in await letters.list()] == ["twice"]
        assert await letters.replay("twice") == 1
        await bus.idle()
        assert list(await letters.list()) == []
    assert len(recorder.got) == len(copies) + 1
