"""C9: bounded memory."""

import asyncio

from events_core.conformance.recorder import Handled, forever
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.integration import Registration

__all__ = ["Bounds"]


class Bounds(Scenarios):
    """C9."""

    async def test_a_process_holds_no_more_than_its_prefetch(self, stage: Stage) -> None:
        slow = stage.recorder(act=forever)
        process = await stage.process(Registration(slow, stage.topic, concurrency=1, prefetch=3))
        await stage.send_numbers(*range(10))
        await stage.held(process, 3)
        # What it has not asked for can still be handed to others.
        await stage.lags(process, 7)
        (health,) = (await process.bus.health()).subscriptions
        assert health.held == 3
        assert len(health.running) == 1

    async def test_no_more_handlers_run_at_a_time_than_the_concurrency(self, stage: Stage) -> None:
        running: list[int] = [0]

        async def overlap(handled: Handled) -> None:
            running.append(running[-1] + 1)
            await asyncio.sleep(0)
            running.append(running[-1] - 1)

        recorder = stage.recorder(act=overlap)
        await stage.process(Registration(recorder, stage.topic, concurrency=2))
        await stage.send_numbers(*range(20))
        await recorder.see(*range(20))
        assert max(running) <= 2
