import asyncio

import pytest

from events_core.testing import ManualClock

pytestmark = pytest.mark.anyio


async def test_sleepers_wake_in_the_order_of_their_due_time_and_at_it() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper("late", 10))
        tasks.create_task(sleeper("twice", 4, 3))
        await clock.advance(10)

    assert woken == [("twice", 4), ("twice", 7), ("late", 10)]


async def test_nobody_wakes_a_moment_early() -> None:
    clock = ManualClock()
    task = asyncio.ensure_future(clock.sleep(10))
    await clock.advance(9.999)
    assert not task.done()
    await clock.advance(0.001)
    assert task.done()


async def test_both_readings_move_together() -> None:
    clock = ManualClock(start=1000.0)
    await clock.advance(2.5)
    assert (clock.time(), clock.monotonic()) == (1002.5, 2.5)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.ensure_future(clock.sleep(1))
    await clock.advance(0)
    task.cancel()
    await clock.advance(5)
    assert task.cancelled()


async def test_time_never_goes_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        await ManualClock().advance(-1)
