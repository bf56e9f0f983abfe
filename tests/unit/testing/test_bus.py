import asyncio
import threading

import pytest

from events_core import Context, DomainEvent, EventHandlerConsumer, IntegrationEvent, Registration, RetryPolicy
from events_core.errors import ConfigurationError, NotConnected
from events_core.memory import InMemoryBroker
from events_core.messages import JsonCodec, Sealer
from events_core.testing import ManualClock, TestBus
from tests.unit.integration.scene import ORDERS, PAYMENTS, Paid, Placed, Recorder

pytestmark = pytest.mark.anyio


async def test_a_retry_after_ten_minutes_takes_ten_lines() -> None:
    billing = Recorder("billing")
    async with TestBus(Registration(billing, ORDERS, retry=RetryPolicy(delays=(600,)))) as bus:
        bus.fail_handling("billing", OSError("the bank is closed"))
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(599.9)
        assert billing.got == []
        await bus.clock.advance(0.1)
        assert billing.attempts == [2]


async def test_idle_returns_when_everything_is_handled_and_settled() -> None:
    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS, concurrency=1)) as bus:
        for number in range(250):
            await bus.send(ORDERS, Placed(order=str(number)))
        await bus.idle()
        assert len(recorder.got) == 250
        (health,) = (await bus.health()).subscriptions
        assert (health.held, health.lag) == (0, 0)


async def test_idle_waits_for_what_handlers_send() -> None:
    async def pay(event: Placed) -> None:
        await bus.send(PAYMENTS, Paid(order=event.order))

    recorder = Recorder("end")
    shop = Registration(EventHandlerConsumer("shop", {Placed: [pay]}), ORDERS)
    async with TestBus(shop, Registration(recorder, PAYMENTS)) as bus:
        await bus.send(ORDERS, Placed(order="o-9"))
        await bus.idle()
        assert recorder.got == [Paid(order="o-9")]


async def test_idle_does_not_wait_for_retries_that_wait() -> None:
    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS)) as bus:
        bus.fail_handling("recorder", OSError("no"))
        await bus.send(ORDERS, Placed())
        await bus.idle()
        assert recorder.got == []


async def test_idle_says_in_time_what_still_runs() -> None:
    released = asyncio.Event()

    async def wait(event: IntegrationEvent, context: Context) -> None:
        await released.wait()

    async with TestBus(Registration(Recorder(act=wait), ORDERS)) as bus:
        await bus.send(ORDERS, Placed(), id="stuck-1")
        with pytest.raises(TimeoutError, match=r"recorder handles scene\.placed stuck-1"):
            await bus.idle(timeout=0.02)
        released.set()
        await bus.idle()


async def test_idle_and_advance_wait_for_handlers_in_threads() -> None:
    attempts: list[int] = []

    def slow(event: Placed, context: Context) -> None:
        threading.Event().wait(0.01)
        attempts.append(context.attempt)
        raise OSError("again")

    consumer = EventHandlerConsumer("slow", {Placed: [slow]})
    async with TestBus(Registration(consumer, ORDERS, retry=RetryPolicy(delays=(1, 5)))) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
        assert attempts == [1]
        await bus.clock.advance(6)
        assert attempts == [1, 2, 3]
        assert len(await bus.dead_letters("slow", ORDERS).list()) == 1


async def test_sent_tells_what_was_stored_in_order_and_by_topic() -> None:
    async with TestBus() as bus:
        first = await bus.send(ORDERS, Placed(order="a"), headers={"tenant": "t"})
        await bus.send(PAYMENTS, Paid(order="a"), key="k")
        assert [each.event for each in bus.sent] == [Placed(order="a"), Paid(order="a")]
        (order,) = bus.sent_to(ORDERS)
        assert (order.topic, order.id, order.key, order.headers) == ("orders", first, "a", {"tenant": "t"})
        assert bus.sent_to("payments")[0].key == "k"


async def test_a_send_fails_as_often_as_asked_for_and_stores_nothing() -> None:
    async with TestBus() as bus:
        bus.fail_sending(NotConnected("the broker is gone"), times=2)
        for _ in range(2):
            with pytest.raises(NotConnected) as caught:
                await bus.send(ORDERS, Placed(), id="mine")
            assert caught.value.event_id == "mine"
        assert bus.sent == []
        await bus.send(ORDERS, Placed())
        assert len(bus.sent) == 1


async def test_envelopes_fail_in_their_places() -> None:
    envelopes = [Sealer(JsonCodec(), "s").seal(Placed(), id=each, time=1.0) for each in ("a", "b")]
    async with TestBus() as bus:
        lost = NotConnected("gone")
        bus.fail_sending(lost)
        assert await bus.send_envelopes(ORDERS, envelopes) == [lost, None]
        assert [each.id for each in bus.sent] == ["b"]


async def test_what_a_stranger_drops_is_handled_or_kept_as_a_dead_letter() -> None:
    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS)) as bus:
        await bus.drop(ORDERS, b'{"type": "scene.placed", "version": 1, "order": "foreign"}')
        await bus.drop(ORDERS, b"\xff", {"id": "rubbish"})
        await bus.idle()
        assert recorder.got == [Placed(order="foreign")]
        assert [each.id for each in await bus.dead_letters("recorder", ORDERS).list()] == ["rubbish"]
        assert bus.sent == []


async def test_buses_on_one_broker_share_topics_and_time() -> None:
    broker = InMemoryBroker(clock=ManualClock())
    recorder = Recorder()
    async with TestBus(broker=broker) as one, TestBus(Registration(recorder, ORDERS), broker=broker) as other:
        assert one.clock is other.clock
        await one.send(ORDERS, Placed())
        await one.idle()
        assert recorder.got == [Placed()]


def test_a_broker_with_a_clock_of_its_own_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ManualClock"):
        TestBus(broker=InMemoryBroker())


class Reopened(DomainEvent, published=True):
    order: str


async def test_published_domain_events_are_among_what_was_sent() -> None:
    async with TestBus() as bus:
        await bus.send_envelopes(ORDERS, [bus.seal(Reopened(order="o-1"))])
        assert [each.event for each in bus.sent] == [Reopened(order="o-1")]
