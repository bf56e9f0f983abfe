"""Registrations and topics come and go by the thousand, and nothing of them stays."""

import asyncio
import time

import pytest

from events_core import InMemoryEventBus, Registration, Topic
from events_core.memory import InMemoryBroker
from events_core.testing import ManualClock
from tests.unit.integration.scene import Placed, Recorder, Scene

pytestmark = pytest.mark.anyio

MANY = 4_000


def guest(number: int, topics: int) -> Registration:
    return Registration(Recorder(f"guest-{number}"), Topic(f"room-{number % topics}"), broadcast=True)


async def seconds_to_leave(count: int, topics: int) -> float:
    """What the processor takes to unregister so many at once."""
    registrations = [guest(number, topics) for number in range(count)]
    async with InMemoryEventBus(source="hotel") as bus:
        await asyncio.gather(*map(bus.register, registrations))
        begun = time.process_time()
        await asyncio.gather(*map(bus.unregister, registrations))
        return time.process_time() - begun


@pytest.mark.parametrize("topics", [1, MANY // 10])
async def test_leaving_does_not_get_slower_with_the_number_of_those_who_stay(topics: int) -> None:
    few = min([await seconds_to_leave(MANY // 8, topics) for _ in range(3)])
    many = min([await seconds_to_leave(MANY, topics) for _ in range(2)])
    assert many < 3 * 8 * few


async def test_registrations_that_left_leave_no_task_and_no_topic() -> None:
    broker = InMemoryBroker()
    async with InMemoryEventBus(source="hotel", broker=broker) as bus:
        before = asyncio.all_tasks()
        registrations = [guest(number, 20) for number in range(200)]
        await asyncio.gather(*map(bus.register, registrations))
        for number in range(20):
            await bus.send(Topic(f"room-{number}"), Placed())
        await asyncio.gather(*map(bus.unregister, registrations))
        assert bus.registrations == ()
        assert (await bus.health()).subscriptions == ()
        assert asyncio.all_tasks() == before
        assert broker._topics == {}


async def test_a_topic_that_was_sent_to_is_forgotten_when_every_send_is_answered() -> None:
    scene = Scene()
    async with scene.bus as bus:
        gate = scene.line.gates["room-1"] = asyncio.Event()
        sending = asyncio.create_task(bus.send(Topic("room-1"), Placed()))
        await scene.turn()
        await bus.send(Topic("room-2"), Placed())
        assert list(bus._sender._topics) == ["room-1"]
        gate.set()
        await sending
        assert bus._sender._topics == {}
        assert scene.broker._topics == {}


async def test_a_topic_is_forgotten_also_when_its_sends_were_never_answered() -> None:
    scene = Scene()
    async with scene.bus as bus:
        scene.line.connected = False
        sending = asyncio.create_task(bus.send(Topic("room-1"), Placed(), timeout=1))
        await advance(scene.clock, 8)
        with pytest.raises(Exception, match="nothing was sent"):
            await sending
        assert bus._sender._topics == {}


async def advance(clock: ManualClock, seconds: int) -> None:
    for _ in range(seconds):
        await clock.advance(1)


async def test_a_topic_with_a_backlog_is_kept_although_nobody_listens() -> None:
    broker = InMemoryBroker()
    recorder = Recorder("clerk")
    registration = Registration(recorder, Topic("desk"))
    async with InMemoryEventBus(source="hotel", broker=broker) as bus:
        await bus.register(registration)
        await bus.unregister(registration)
        await bus.send(Topic("desk"), Placed())
        handled = asyncio.Event()

        async def note(*_: object) -> None:
            handled.set()

        await bus.register(Registration(Recorder("clerk", note), Topic("desk")))
        async with asyncio.timeout(5):
            await handled.wait()
