"""Processes that consume: killed, frozen, ended by an event, slow, drained, flooded."""

import asyncio
import math
import time
from collections import Counter

import pytest

from tests.faults.events import Toil, Work
from tests.faults.processes import Worker
from tests.faults.scene import PATIENCE, Scene
from tests.faults.waiting import until

pytestmark = pytest.mark.anyio

CHANGES = 5
HANDOVER = 5.0
"""Seconds within which others have what a drained process gives back, long before its lease or its time is over."""
HELD = 200
"""What two processes hold at the most, by their default window."""


async def test_what_a_killed_consumer_was_handling_is_handled_by_another(scene: Scene) -> None:
    _ = scene.broker
    killed = await scene.consumer(scene.gate("killed"), concurrency=10, prefetch=20)
    await scene.send(*(Work(number=n, hold=scene.random.random() < 0.4) for n in range(100)))
    await scene.journal.until(lambda: in_hand(scene, killed) == 10, within=PATIENCE, hope="all its slots are taken")
    killed.kill()
    await scene.consumer()
    account = await scene.settled()
    assert len(account.handled) == 100


async def test_the_late_result_of_a_frozen_consumer_does_no_harm(scene: Scene) -> None:
    _ = scene.broker
    gate = scene.gate("frozen")
    frozen = await scene.consumer(gate, concurrency=10)
    ids = await scene.send(*(Work(number=n, hold=True, failures=n % 2) for n in range(10)))
    await scene.journal.count("begun", 10, within=PATIENCE, process=frozen.pid)
    frozen.freeze()
    other = await scene.consumer()
    await scene.journal.count("handled", 10, within=scene.platform.lease + PATIENCE, process=other.pid)
    gate.touch()
    frozen.resume()
    late = set(ids)
    await scene.journal.until(
        lambda: {entry.id for entry in scene.journal.of("handled", "failed", process=frozen.pid)} == late,
        within=PATIENCE,
        hope="the frozen consumer goes on where it was",
    )
    await scene.send(*(Work(number=n) for n in range(10, 30)))
    account = await scene.settled()
    # What failed late may come once more; what was accepted late must not.
    assert account.duplicates <= 10
    assert await scene.bus.dead_letters("first", scene.topic).list() == []
    assert scene.journal.of("cancelled") == []


async def test_an_event_that_ends_its_process_becomes_a_dead_letter_and_its_neighbours_are_handled(
    scene: Scene,
) -> None:
    _ = scene.broker
    worker = await scene.consumer(concurrency=5, prefetch=10, max_deliveries=4)
    deadly = scene.random.randrange(40)
    ids = await scene.send(*(Work(number=n, deadly=n == deadly) for n in range(40)))
    supervision = asyncio.create_task(keep_alive(scene, worker))
    dead: dict[str, str] = {}

    async def is_over() -> bool:
        dead.update({each.id: each.reason for each in await scene.dead_letters(0)})
        return set(ids) <= scene.journal.ids("handled") | dead.keys()

    try:
        await until(is_over, within=4 * PATIENCE, hope=lambda: f"all are handled or dead; {scene.journal.summary()}")
    finally:
        supervision.cancel()
    account = await scene.settled(dead)
    assert dead == {ids[deadly]: "crash-loop"}
    assert account.handled.keys() == set(ids) - {ids[deadly]}


async def test_a_handler_slower_than_the_lease_handles_its_event_once(scene: Scene) -> None:
    slow = scene.platform.lease * 1.7
    bus = await scene.connect(scene.url, scene.registration())
    await asyncio.gather(
        *(scene.try_sending(bus, Work(number=n, seconds=slow)) for n in range(3)),
        *(scene.try_sending(bus, Toil(number=n, seconds=slow)) for n in range(3)),
    )
    account = await scene.settled()
    assert account.duplicates == 0
    assert len(scene.journal.of("begun")) == 6


async def test_a_drained_consumer_finishes_what_runs_and_gives_the_rest_to_others_at_once(scene: Scene) -> None:
    _ = scene.broker
    gate = scene.gate("drained")
    drained = await scene.consumer(gate, concurrency=5, prefetch=55, watch=True)
    await scene.send(*(Work(number=n, hold=True) for n in range(55)))
    await scene.journal.until(lambda: held(scene, drained) == 55, within=PATIENCE, hope="it holds all 55")
    await scene.journal.count("begun", 5, within=PATIENCE, process=drained.pid)
    other = await scene.consumer(concurrency=50)
    # Where one more member moves what was only fetched, it is fetched again.
    await scene.journal.until(lambda: held(scene, drained) == 55, within=PATIENCE, hope="it holds all 55 again")
    asked = time.monotonic()
    drained.terminate()
    await scene.journal.count("handled", 50, within=PATIENCE, process=other.pid)
    assert max(entry.at for entry in scene.journal.of("handled", process=other.pid)) - asked < HANDOVER
    gate.touch()
    assert await drained.ended(PATIENCE) == 0
    account = await scene.settled()
    assert len(scene.journal.ids("handled", drained.pid)) == 5
    assert account.duplicates == 0
    assert Counter(entry.attempt for entry in scene.journal.of("begun")) == {1: 55}


async def test_members_that_join_and_leave_under_load_lose_nothing(scene: Scene) -> None:
    _ = scene.broker
    await scene.consumer()
    sender = await scene.sender(in_flight=50, timeout=10.0)
    for _ in range(CHANGES):
        member = await scene.consumer()
        await scene.journal.count("handled", 20, within=PATIENCE, process=member.pid)
        if scene.random.random() < 0.5:
            member.kill()
        else:
            member.terminate()
            assert await member.ended(PATIENCE) == 0
    sender.terminate()
    assert await sender.ended(PATIENCE) == 0
    account = await scene.settled()
    assert account.duplicates <= CHANGES * HELD
    assert await scene.bus.dead_letters("first", scene.topic).list() == []


async def test_a_backlog_of_100_000_passes_a_slow_handler_in_bounded_memory(scene: Scene) -> None:
    _ = scene.broker
    creator = await scene.consumer()
    creator.terminate()
    assert await creator.ended(PATIENCE) == 0
    await scene.fill(100_000)
    worker = await scene.consumer(concurrency=10, prefetch=100, watch=True)
    await scene.journal.count("handled", 3_000, within=PATIENCE, process=worker.pid)
    (start,) = scene.journal.of("starting", process=worker.pid)
    grown = worker.peak_memory - start.number
    assert grown < 48 << 20, f"the worker grew by {grown >> 20} MiB"
    assert max(entry.number for entry in scene.journal.of("held", process=worker.pid)) <= 100
    worker.kill()
    scene.tell()


def in_hand(scene: Scene, worker: Worker) -> int:
    """How many events the worker has begun and not ended."""
    return len(scene.journal.ids("begun", worker.pid) - scene.journal.ids("handled", worker.pid))


def held(scene: Scene, worker: Worker) -> int:
    """How many deliveries the worker says it holds."""
    said = scene.journal.of("held", process=worker.pid)
    return said[-1].number if said else 0


async def keep_alive(scene: Scene, worker: Worker) -> None:
    """Start another whenever it ends, as any supervisor does."""
    while True:
        await worker.ended(math.inf)
        worker = scene.launch_consumer(concurrency=5, prefetch=10, max_deliveries=4)
