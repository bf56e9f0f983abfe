import asyncio

import pytest

from events_core import Context, IntegrationEvent, Registration, RetryLater, RetryPolicy
from events_core.integration.progress import LOOK_EVERY, Progress
from events_core.ports import AlertKind
from tests.unit.integration.scene import ORDERS, Placed, Recorder, Scene

pytestmark = pytest.mark.anyio


async def send(scene: Scene, count: int) -> None:
    await asyncio.gather(*(scene.bus.send(ORDERS, Placed(), id=str(number)) for number in range(count)))


async def test_a_feed_that_hands_out_nothing_although_events_wait_is_replaced_and_reported() -> None:
    recorder = Recorder()
    scene = Scene(Registration(recorder, ORDERS))
    scene.line.sticky = True
    async with scene.bus as bus:
        scene.line.sticky = False
        await send(scene, 3)
        await scene.clock.advance(3 * LOOK_EVERY)
        health = await bus.health()
        assert sorted(each.id for each in recorder.contexts) == ["0", "1", "2"]
        assert health.ready
        assert [(each.kind, each.subject) for each in health.alerts] == [(AlertKind.STALLED, "recorder.orders")]
        assert "3 events wait" in health.alerts[0].detail


async def test_a_feed_that_was_replaced_is_not_listened_to_any_more() -> None:
    recorder = Recorder()
    scene = Scene(Registration(recorder, ORDERS))
    scene.line.sticky = True
    async with scene.bus:
        scene.line.sticky = False
        await send(scene, 1)
        await scene.clock.advance(3 * LOOK_EVERY)
        scene.line.feeds[0].free.set()
        await send(scene, 2)
        await scene.clock.advance(LOOK_EVERY)
        assert [len(each.settled) for each in scene.line.feeds] == [0, 3]


async def test_a_feed_that_goes_on_standing_still_is_replaced_again() -> None:
    recorder = Recorder()
    scene = Scene(Registration(recorder, ORDERS))
    scene.line.sticky = True
    async with scene.bus as bus:
        await send(scene, 1)
        await scene.clock.advance(6 * LOOK_EVERY)
        assert len((await bus.health()).alerts) >= 2
        scene.line.sticky = False
        await scene.clock.advance(3 * LOOK_EVERY)
        assert len(recorder.got) == 1


async def test_a_subscription_whose_handlers_are_slow_is_left_alone() -> None:
    gate = asyncio.Event()

    async def wait(event: IntegrationEvent, context: Context) -> None:
        await gate.wait()

    recorder = Recorder(act=wait)
    scene = Scene(Registration(recorder, ORDERS, concurrency=1, prefetch=1, timeout=3600))
    async with scene.bus as bus:
        await send(scene, 5)
        await scene.clock.advance(20 * LOOK_EVERY)
        assert ((await bus.health()).subscriptions[0].lag, (await bus.health()).alerts) == (4, ())
        gate.set()


async def test_a_retry_that_waits_long_on_a_quiet_topic_is_no_standstill() -> None:
    async def later(event: IntegrationEvent, context: Context) -> None:
        if context.attempt == 1:
            raise RetryLater(600)

    recorder = Recorder(act=later)
    scene = Scene(Registration(recorder, ORDERS, retry=RetryPolicy(delays=(600,))))
    async with scene.bus as bus:
        await send(scene, 1)
        await scene.clock.advance(601)
        assert recorder.attempts == [1, 2]
        assert (await bus.health()).alerts == ()


async def test_a_stuck_registration_can_be_taken_away_and_is_not_subscribed_anew() -> None:
    registration = Registration(Recorder(), ORDERS)
    scene = Scene(registration)
    scene.line.sticky = True
    async with scene.bus as bus:
        await send(scene, 1)
        await scene.clock.advance(LOOK_EVERY)
        await bus.unregister(registration)
        await scene.clock.advance(5 * LOOK_EVERY)
        assert len(scene.line.feeds) == 1


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(5, 0, None), (5, 0, None)], [False, True]),
        ([(5, 0, 1.0), (5, 0, 1.0), (5, 0, 1.0)], [False, False, True]),
        ([(5, 0, None), (0, 0, None), (5, 0, None)], [False, False, False]),
        ([(5, 0, None), (5, 1, None), (5, 0, None)], [False, False, False]),
        ([(5, 0, 1.0), (5, 0, 2.0), (5, 0, 3.0)], [False, False, False]),
        ([(None, 0, None), (None, 0, None), (None, 0, None)], [False, False, False]),
    ],
    ids=["still", "still since the first look", "empty once", "held once", "arriving", "the broker cannot tell"],
)
async def test_only_look_after_look_at_a_standstill_counts(
    looks: list[tuple[int | None, int, float | None]], expected: list[bool]
) -> None:
    progress = Progress()
    assert [progress.stands_still(lag=lag, held=held, received=at) for lag, held, at in looks] == expected
