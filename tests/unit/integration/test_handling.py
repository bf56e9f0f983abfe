import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from anyio import from_thread

from events_core import (
    Context,
    EventHandlerConsumer,
    IntegrationEvent,
    Middleware,
    Registration,
    Reject,
    RetryLater,
    RetryPolicy,
)
from events_core.integration import Call
from events_core.testing import TestBus
from tests.unit.integration.scene import ORDERS, PAYMENTS, Paid, Placed, Recorder

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(delays=())


def of(*handlers: Callable[..., object], name: str = "shop") -> EventHandlerConsumer:
    return EventHandlerConsumer(name, {Placed: handlers})


class Old(IntegrationEvent):
    type = "scene.renamed"
    version = 1
    name: str


class New(IntegrationEvent):
    type = "scene.renamed"
    version = 2
    title: str


@New.upcast(Old)
def renamed(old: Old) -> New:
    return New(title=old.name)


async def test_a_handler_takes_the_event_or_the_event_and_its_context() -> None:
    got: list[object] = []

    async def with_context(event: Placed, context: Context) -> None:
        got.append((event.order, context.consumer))

    async def without(event: Placed) -> None:
        got.append(event.order)

    async with TestBus(Registration(of(with_context, without), ORDERS)) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
    assert got == [("o-1", "shop"), "o-1"]


async def test_the_context_says_everything_about_the_delivery() -> None:
    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS), source="shop") as bus:
        await bus.send(ORDERS, Placed(order="k"), id="e-1", headers={"tenant": "t"})
        now = bus.clock.time()
        await bus.idle()
    assert recorder.contexts == [
        Context(
            id="e-1",
            type="scene.placed",
            version=1,
            source="shop",
            time=datetime.fromtimestamp(now, UTC),
            key="k",
            attempt=1,
            correlation_id="e-1",
            causation_id=None,
            headers={"tenant": "t"},
            consumer="recorder",
            topic="orders",
            handler="tests.unit.integration.scene.Recorder",
        )
    ]


async def test_plain_functions_run_in_threads() -> None:
    threads: list[int] = []

    def handler(event: Placed) -> None:
        threads.append(threading.get_ident())

    async with TestBus(Registration(of(handler), ORDERS)) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
    assert threads != [threading.get_ident()]


async def test_only_the_handlers_that_failed_run_again() -> None:
    calls: list[str] = []

    async def good(event: Placed) -> None:
        calls.append("good")

    async def flaky(event: Placed, context: Context) -> None:
        calls.append(f"flaky {context.attempt}")
        if context.attempt < 3:
            raise OSError("no")

    async with TestBus(Registration(of(flaky, good), ORDERS)) as bus:
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(60)
        await bus.idle()
    assert calls == ["flaky 1", "good", "flaky 2", "flaky 3"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Reject("no such account"), "no such account"), (KeyError("x"), "KeyError is not cured by waiting")],
)
async def test_what_cannot_be_cured_is_a_dead_letter_at_once(error: Exception, reason: str) -> None:
    async def fail(event: IntegrationEvent, context: Context) -> None:
        raise error

    recorder = Recorder(act=fail)
    policy = RetryPolicy(dead_letter_on=(KeyError,))
    async with TestBus(Registration(recorder, ORDERS, retry=policy)) as bus:
        await bus.send(ORDERS, Placed(), id="e-1")
        await bus.idle()
        (letter,) = await bus.dead_letters("recorder", ORDERS).list()
    assert (letter.id, letter.reason, letter.attempts, letter.origin) == ("e-1", reason, 1, "recorder.orders")
    assert letter.error.startswith(type(error).__name__)
    assert "fail" in letter.traceback


async def test_a_retry_later_than_the_ladder_is_never_early() -> None:
    started: list[float] = []

    async def later(event: IntegrationEvent, context: Context) -> None:
        started.append(bus.clock.monotonic())
        if context.attempt == 1:
            raise RetryLater(100)

    async with TestBus(Registration(Recorder(act=later), ORDERS, retry=RetryPolicy(delays=(1, 30)))) as bus:
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(99.9)
        assert started == [0.0]
        await bus.clock.advance(30)
    assert len(started) == 2
    assert started[1] >= 100


async def test_of_several_failures_the_one_that_waits_longest_decides() -> None:
    async def soon(event: Placed) -> None:
        raise RetryLater(1)

    started: list[str] = []

    async def late(event: Placed) -> None:
        started.append("late")
        raise ExceptionGroup("several", [Reject("never"), RetryLater(30)])

    recorder = of(soon, late)
    async with TestBus(Registration(recorder, ORDERS, retry=RetryPolicy(delays=(1, 30)))) as bus:
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(29)
        assert started == ["late"]
        await bus.clock.advance(1)
        assert started == ["late", "late"]
        assert await bus.dead_letters("shop", ORDERS).list() == []


async def test_middleware_stands_around_the_handlers_the_bus_outermost() -> None:
    told: list[str] = []

    def teller(name: str) -> Middleware:
        async def tell(event: IntegrationEvent, context: Context, call: Call) -> None:
            told.append(f"{name} before")
            await call()
            told.append(f"{name} after")

        return tell

    async def handler(event: Placed) -> None:
        told.append("handler")

    own = (teller("first"), teller("second"))
    async with TestBus(Registration(of(handler), ORDERS, middleware=own), middleware=(teller("bus"),)) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
    assert told == [
        "bus before", "first before", "second before", "handler", "second after", "first after", "bus after",
    ]  # fmt: skip


async def test_a_failure_of_the_middleware_is_one_of_the_handlers() -> None:
    async def fail(event: IntegrationEvent, context: Context, call: Call) -> None:
        raise PermissionError("not yours")

    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS, retry=ONCE, middleware=(fail,))) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
        (letter,) = await bus.dead_letters("recorder", ORDERS).list()
    assert (letter.error, recorder.got) == ("PermissionError: not yours", [])


async def test_a_foreign_cancellation_is_a_failure_and_the_workers_live_on() -> None:
    async def cancelled(event: IntegrationEvent, context: Context) -> None:
        if context.id == "bad":
            raise asyncio.CancelledError

    recorder = Recorder(act=cancelled)
    async with TestBus(Registration(recorder, ORDERS, concurrency=1, retry=ONCE)) as bus:
        await bus.send(ORDERS, Placed(), id="bad")
        await bus.send(ORDERS, Placed(), id="good")
        await bus.idle()
        assert [each.id for each in await bus.dead_letters("recorder", ORDERS).list()] == ["bad"]
        assert (await bus.health()).live
    assert [each.id for each in recorder.contexts] == ["bad", "good"]


async def test_events_sent_in_a_handler_inherit_their_story() -> None:
    def from_a_thread(event: Placed) -> None:
        from_thread.run(bus.send, PAYMENTS, Paid(order="thread"))

    async def from_a_task(event: Placed) -> None:
        await bus.send(PAYMENTS, Paid(order="task"))

    async with TestBus(Registration(of(from_a_thread, from_a_task), ORDERS)) as bus:
        await bus.send(ORDERS, Placed(), id="cause", headers={"traceparent": "00-1", "tenant": "t"})
        await bus.idle()
        told = bus.sent_to(PAYMENTS)
        await bus.send(PAYMENTS, Paid())
        assert bus.sent_to(PAYMENTS)[2].causation_id is None
    assert [each.event for each in told] == [Paid(order="thread"), Paid(order="task")]
    for each in told:
        assert (each.correlation_id, each.causation_id, each.headers) == ("cause", "cause", {"traceparent": "00-1"})


async def test_an_unknown_version_waits_a_day_for_a_newer_replica_then_is_a_dead_letter() -> None:
    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS)) as bus:
        await bus.drop(ORDERS, b'{"type": "scene.placed", "version": 9}', {"id": "new"})
        await bus.clock.advance(86_399)
        letters = bus.dead_letters("recorder", ORDERS)
        assert await letters.list() == []
        await bus.clock.advance(601)
        (letter,) = await letters.list()
    assert (letter.id, letter.attempts, letter.reason) == ("new", 1, "unknown contract")
    assert recorder.got == []


async def test_an_older_version_reaches_its_handler_as_the_newer_one() -> None:
    got: list[tuple[IntegrationEvent, int]] = []

    async def handler(event: New, context: Context) -> None:
        got.append((event, context.version))

    async with TestBus(Registration(EventHandlerConsumer("new", {New: [handler]}), ORDERS)) as bus:
        await bus.send(ORDERS, Old(name="x"))
        await bus.idle()
    assert got == [(New(title="x"), 1)]


async def test_a_dead_letter_keeps_its_body_out_of_logs() -> None:
    async with TestBus(Registration(Recorder(), ORDERS, retry=ONCE)) as bus:
        bus.fail_handling("recorder", OSError("no"))
        await bus.send(ORDERS, Placed(order="private"))
        await bus.idle()
        (letter,) = await bus.dead_letters("recorder", ORDERS).list()
    assert b"private" in letter.body
    assert "body" not in repr(letter)


async def test_a_replayed_dead_letter_is_a_first_attempt_again() -> None:
    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS, retry=ONCE)) as bus:
        bus.fail_handling("recorder", OSError("no"))
        await bus.send(ORDERS, Placed(), id="e-1")
        await bus.idle()
        assert await bus.dead_letters("recorder", ORDERS).replay("e-1") == 1
        await bus.idle()
    assert [(each.id, each.attempt) for each in recorder.contexts] == [("e-1", 1)]
