import asyncio

import pytest

from events_core.errors import BusClosed, EventTooLarge, NotConnected, NotStarted, OutcomeUnknown
from events_core.ports import MAX_EVENT_BYTES
from tests.unit.integration.scene import ORDERS, PAYMENTS, Paid, Placed, Scene

pytestmark = pytest.mark.anyio


async def test_sends_gather_while_a_write_is_on_its_way_and_a_lone_one_goes_at_once() -> None:
    scene = Scene()
    async with scene.bus as bus, asyncio.TaskGroup() as tasks:
        gate = scene.line.gates["orders"] = asyncio.Event()
        tasks.create_task(bus.send(ORDERS, Placed()))
        await scene.turn()
        assert scene.line.writes == [("orders", 1)]
        for _ in range(50):
            tasks.create_task(bus.send(ORDERS, Placed()))
        await scene.turn()
        gate.set()
        await scene.turn()
        assert sum(size for _, size in scene.line.writes) == 51
        assert len(scene.line.writes) <= 3


async def test_no_topic_waits_for_another() -> None:
    scene = Scene()
    async with scene.bus as bus, asyncio.TaskGroup() as tasks:
        scene.line.gates["orders"] = asyncio.Event()
        stuck = tasks.create_task(bus.send(ORDERS, Placed()))
        await scene.turn()
        await bus.send(PAYMENTS, Paid())
        assert not stuck.done()
        scene.line.gates["orders"].set()


async def test_a_broker_that_never_answers_leaves_the_outcome_unknown_in_time() -> None:
    scene = Scene()
    async with scene.bus as bus:
        scene.line.gates["orders"] = asyncio.Event()
        sending = asyncio.ensure_future(bus.send(ORDERS, Placed(), id="mine", timeout=10))
        await scene.clock.advance(9.8)
        assert not sending.done()
        await scene.clock.advance(0.4)
        with pytest.raises(OutcomeUnknown) as caught:
            await sending
    assert caught.value.event_id == "mine"


async def test_without_a_connection_nothing_is_sent_and_the_sender_knows_in_time() -> None:
    scene = Scene()
    async with scene.bus as bus:
        scene.line.connected = False
        sending = asyncio.ensure_future(bus.send(ORDERS, Placed(), id="mine", timeout=10))
        await scene.clock.advance(10.2)
        with pytest.raises(NotConnected) as caught:
            await sending
    assert caught.value.event_id == "mine"


async def test_a_send_goes_through_when_the_connection_comes_back_in_time() -> None:
    scene = Scene()
    async with scene.bus as bus:
        scene.line.connected = False
        sending = asyncio.ensure_future(bus.send(ORDERS, Placed(), timeout=10))
        await scene.clock.advance(2)
        scene.line.connected = True
        await scene.clock.advance(5)
        assert sending.done()
        await sending


async def test_a_cancelled_send_disturbs_no_other() -> None:
    scene = Scene()
    async with scene.bus as bus:
        gate = scene.line.gates["orders"] = asyncio.Event()
        sends = [asyncio.ensure_future(bus.send(ORDERS, Placed(), id=str(each))) for each in range(10)]
        await scene.turn()
        sends[4].cancel()
        gate.set()
        answers = await asyncio.gather(*sends, return_exceptions=True)
    assert isinstance(answers.pop(4), asyncio.CancelledError)
    assert answers == ["0", "1", "2", "3", "5", "6", "7", "8", "9"]


async def test_a_bounded_number_of_sends_waits_for_the_broker() -> None:
    scene = Scene()
    async with scene.bus as bus:
        gate = scene.line.gates["orders"] = asyncio.Event()
        sends = [asyncio.ensure_future(bus.send(ORDERS, Placed(), timeout=1)) for _ in range(5_003)]
        await scene.turn()
        await scene.clock.advance(1.2)
        answers = await asyncio.gather(*sends, return_exceptions=True)
        gate.set()
    assert {type(each) for each in answers} <= {OutcomeUnknown, NotConnected}
    assert [type(each) for each in answers[-3:]] == [NotConnected] * 3


async def test_an_event_too_large_for_some_broker_is_refused_before_it_travels() -> None:
    scene = Scene()
    async with scene.bus as bus:
        with pytest.raises(EventTooLarge):
            await bus.send(ORDERS, Placed(order="x" * MAX_EVENT_BYTES), key="k")
    assert scene.line.writes == []


async def test_sending_outside_of_the_life_of_the_bus_is_a_clear_error() -> None:
    scene = Scene()
    with pytest.raises(NotStarted, match="startup"):
        await scene.bus.send(ORDERS, Placed())
    async with scene.bus:
        pass
    with pytest.raises(BusClosed):
        await scene.bus.send(ORDERS, Placed())
