import asyncio
import threading

import pytest

from events_core import Context, EventHandlerConsumer, IntegrationEvent, Registration, RetryPolicy
from events_core.testing import TestBus
from tests.unit.integration.scene import ORDERS, Placed, Recorder

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(delays=())


async def test_a_handler_that_takes_too_long_is_cancelled_and_counts_as_a_failure() -> None:
    async def slow(event: IntegrationEvent, context: Context) -> None:
        await bus.clock.sleep(60)

    recorder = Recorder(act=slow)
    async with TestBus(Registration(recorder, ORDERS, timeout=5, retry=RetryPolicy(delays=(10,)))) as bus:
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(4.8)
        assert len((await bus.health()).subscriptions[0].running) == 1
        await bus.clock.advance(0.4)
        assert (await bus.health()).subscriptions[0].running == ()
        await bus.clock.advance(20)
        (letter,) = await bus.dead_letters("recorder", ORDERS).list()
    assert recorder.attempts == [1, 2]
    assert letter.error == "HandlerTimeout: handled for more than 5 s; make it faster or raise timeout"


async def test_a_handler_that_swallows_its_cancellation_is_timed_out_all_the_same() -> None:
    async def stubborn(event: IntegrationEvent, context: Context) -> None:
        try:
            await bus.clock.sleep(60)
        except asyncio.CancelledError:
            return

    async with TestBus(Registration(Recorder(act=stubborn), ORDERS, timeout=1, retry=ONCE)) as bus:
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(2)
        (letter,) = await bus.dead_letters("recorder", ORDERS).list()
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(2)
        assert len(await bus.dead_letters("recorder", ORDERS).list()) == 2
    assert letter.error.startswith("HandlerTimeout")


async def test_a_thread_that_is_timed_out_keeps_its_slot_until_it_ends() -> None:  # noqa: PLR0915 one story
    ended = threading.Event()
    began: list[str] = []

    def stuck(event: Placed, context: Context) -> None:
        began.append(context.id)
        if context.id == "first":
            ended.wait(10)

    consumer = EventHandlerConsumer("threads", {Placed: [stuck]})
    try:
        async with TestBus(Registration(consumer, ORDERS, concurrency=1, timeout=1, retry=ONCE)) as bus:
            await bus.send(ORDERS, Placed(), id="first")
            await bus.clock.advance(1.1)
            assert [each.id for each in await bus.dead_letters("threads", ORDERS).list()] == ["first"]
            await bus.send(ORDERS, Placed(), id="second")
            with pytest.raises(TimeoutError):
                await bus.idle(timeout=0.02)
            assert began == ["first"]
            ended.set()
            await bus.idle()
            assert began == ["first", "second"]
    finally:
        ended.set()
