"""The broker: killed, frozen, full."""

import asyncio

import pytest

from events_core.errors import SendRejected
from tests.faults.account import TYPED, early, overdue
from tests.faults.events import Work
from tests.faults.platforms import needed
from tests.faults.scene import PATIENCE, Scene

pytestmark = pytest.mark.anyio

FREEZE = 20.0


async def test_every_confirmed_event_outlives_a_broker_killed_at_the_highest_rate(scene: Scene) -> None:
    _ = scene.broker
    await scene.consumer()
    sender = await scene.sender(in_flight=500, timeout=4.0)
    await scene.journal.count("confirmed", scene.random.randint(2_000, 6_000), within=PATIENCE)
    async with scene.outage():
        pass
    before = len(scene.journal.ids("confirmed"))
    await scene.journal.count("confirmed", before + 500, within=PATIENCE)
    sender.terminate()
    assert await sender.ended(PATIENCE) == 0
    await scene.settled()
    assert overdue(scene.journal, 4.0) == []


async def test_retries_that_wait_outlive_a_killed_broker_and_are_not_early(scene: Scene) -> None:
    delay = 12.0
    _ = scene.broker
    await scene.consumer(delays=(delay,), concurrency=50)
    await scene.rooted()
    await scene.send(*(Work(number=n, failures=1) for n in range(200)))
    await scene.journal.count("failed", scene.random.randint(150, 200), within=PATIENCE)
    async with scene.outage():
        pass
    account = await scene.settled(within=delay + PATIENCE)
    assert len(account.handled) == 200
    assert early(scene.journal, delay) == []
    assert {entry.attempt for entry in scene.journal.of("handled")} == {2}


async def test_sends_end_in_time_while_the_broker_is_frozen_and_everything_resumes(scene: Scene) -> None:
    broker = scene.broker
    await scene.consumer()
    sender = await scene.sender(in_flight=50, timeout=5.0)
    await scene.journal.count("confirmed", scene.random.randint(200, 1_000), within=PATIENCE)
    broker.freeze()
    try:
        await asyncio.sleep(FREEZE)
    finally:
        broker.resume()
    before = len(scene.journal.ids("confirmed"))
    await scene.journal.count("confirmed", before + 200, within=PATIENCE)
    sender.terminate()
    assert await sender.ended(PATIENCE) == 0
    await scene.settled()
    assert overdue(scene.journal, 5.0) == []
    assert scene.journal.of("cancelled") == []


async def test_a_full_broker_fails_sends_in_time_and_loses_no_retry_and_no_dead_letter(scene: Scene) -> None:
    full = needed(scene.platform.alarm, scene.platform, "way to be full")
    gate = scene.gate("first")
    await scene.consumer(gate, concurrency=5, prefetch=20)
    events = [Work(number=n, hold=True, failures=int(n % 10 == 1), reject=n % 10 == 2) for n in range(60)]
    ids = await scene.send(*events)
    plain = {id for id, event in zip(ids, events, strict=True) if not event.failures and not event.reject}
    await scene.journal.count("begun", 5, within=PATIENCE)
    async with full(scene.broker):
        gate.touch()
        sends = [scene.try_sending(scene.bus, Work(number=100 + n), timeout=2.0) for n in range(20)]
        results = await asyncio.wait_for(asyncio.gather(*sends, return_exceptions=True), 5)
        assert {type(each).__name__ for each in results} <= TYPED
        await scene.journal.until(
            lambda: plain <= scene.journal.ids("handled"), within=PATIENCE, hope="accepts pass while the broker is full"
        )
    letters = await scene.dead_letters(6)
    account = await scene.settled([each.id for each in letters])
    assert account.handled.keys() >= set(ids) - {each.id for each in letters}
    await scene.send(Work(number=200))
    assert overdue(scene.journal, 10.0) == []


async def test_a_full_broker_has_room_for_retries_and_dead_letters(scene: Scene) -> None:
    full = needed(scene.platform.alarm, scene.platform, "way to be full")
    needed(scene.platform.spares_room or None, scene.platform, "room to spare when it is full")
    gate = scene.gate("first")
    worker = await scene.consumer(gate, concurrency=5, prefetch=20)
    ids = await scene.send(*(Work(number=n, hold=True, failures=n % 2, reject=n % 10 == 2) for n in range(60)))
    await scene.journal.count("begun", 5, within=PATIENCE)
    async with full(scene.broker):
        with pytest.raises(SendRejected):
            await scene.try_sending(scene.bus, Work(number=100), timeout=2.0)
        gate.touch()
        dead = {each.id for each in await scene.dead_letters(6)}
        account = await scene.settled(dead)
        worker.terminate()
        assert await worker.ended(PATIENCE) == 0
        another = await scene.consumer()
        assert another.running
    assert account.handled.keys() == set(ids) - dead
    assert early(scene.journal, 1.0) == []
