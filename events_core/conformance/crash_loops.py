"""C11: an event that keeps ending its process."""

import asyncio
from collections.abc import Sequence
from typing import Final

from events_core.conformance.recorder import Handled, Recorder, forever
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Process, Stage
from events_core.integration import DeadLetter, Registration
from events_core.ports import Source, Subscription

__all__ = ["CrashLoops"]

_POISON: Final = 0
_LIMIT: Final = 4


class CrashLoops(Scenarios):
    """C11."""

    async def test_an_event_that_keeps_ending_its_process_is_dead_lettered_and_its_neighbours_are_handled(
        self, stage: Stage
    ) -> None:
        if not stage.capabilities.counts_starts:
            assert await _starts(stage) == [0]
            return
        recorder = stage.recorder(act=_poisoned)
        process = await _consume(stage, recorder)
        ids = await stage.send_numbers(_POISON, 1, 2, 3)
        letters = await _crash_until_convicted(stage, recorder, process)
        assert [(each.id, each.reason) for each in letters] == [(ids[0], "crash-loop")]
        await recorder.see(1, 2, 3)
        await stage.fence(recorder)
        assert len(await stage.sender.dead_letters("first", stage.topic).list()) == 1


async def _poisoned(handled: Handled) -> None:
    if handled.number == _POISON:
        await forever(handled)


async def _consume(stage: Stage, recorder: Recorder) -> Process:
    return await stage.process(
        Registration(recorder, stage.topic, concurrency=1, prefetch=10, max_deliveries=_LIMIT, retry=stage.retry)
    )


async def _crash_until_convicted(stage: Stage, recorder: Recorder, process: Process) -> Sequence[DeadLetter]:
    """Kill each process that begins with the poison, until one convicts it instead."""
    convicted = asyncio.create_task(stage.dead_letters("first", 1, patience=2 * _LIMIT * stage.patience))
    crashes = 0
    while not convicted.done():
        begun = asyncio.create_task(_poisons(recorder, crashes + 1))
        await asyncio.wait([convicted, begun], return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            begun.cancel()
            break
        await begun
        crashes += 1
        assert crashes <= 2 * _LIMIT, "the poison was not convicted"
        await process.kill()
        process = await _consume(stage, recorder)
    return await convicted


async def _poisons(recorder: Recorder, count: int) -> None:
    while (begun := [each.number for each in recorder.begun]).count(_POISON) < count:
        await recorder.begin(len(begun) + 1)


async def _starts(stage: Stage) -> Sequence[int]:
    """What a transport that cannot count says of a delivery."""
    process = await stage.consume(stage.recorder())
    await process.bus.shutdown()
    await stage.send_numbers(1)
    process = await stage.process()
    subscription = Subscription(consumer="first", topic=stage.topic, source=Source.EVENTS)
    feed = await process.transport.subscribe(subscription)
    return [each.starts for each in await feed.receive(1)]
