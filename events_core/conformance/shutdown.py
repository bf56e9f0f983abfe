"""C8: how a process leaves."""

import asyncio

from events_core.conformance.recorder import Handled, forever
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.integration import Registration

__all__ = ["Shutdown"]


class Shutdown(Scenarios):
    """C8."""

    async def test_what_has_not_begun_goes_to_another_process_soon_and_uses_no_attempt(self, stage: Stage) -> None:
        gate = asyncio.Event()

        async def wait(handled: Handled) -> None:
            await gate.wait()

        leaving, staying = stage.recorder(act=wait), stage.recorder()
        process = await stage.process(Registration(leaving, stage.topic, concurrency=1, prefetch=20))
        await stage.send_numbers(*range(20))
        await stage.held(process, 20)
        await stage.consume(staying)
        await stage.held(process, 20)
        shutdown = asyncio.create_task(process.bus.shutdown(self.patience))
        try:
            async with asyncio.timeout(self.handover):
                await staying.count(19)
        finally:
            gate.set()
            await shutdown
        assert sorted([*leaving.numbers, *staying.numbers]) == list(range(20))
        assert {*leaving.attempts, *staying.attempts} == {1}

    async def test_a_running_handler_ends_and_is_settled_before_shutdown_returns(self, stage: Stage) -> None:
        gate = asyncio.Event()

        async def wait(handled: Handled) -> None:
            await gate.wait()

        leaving, next_one = stage.recorder(act=wait), stage.recorder()
        process = await stage.consume(leaving)
        await stage.send_numbers(1)
        await leaving.begin(1)
        shutdown = asyncio.create_task(process.bus.shutdown(self.patience))
        gate.set()
        await shutdown
        assert leaving.numbers == [1]
        await stage.consume(next_one)
        await stage.fence(next_one)
        assert 1 not in next_one.numbers

    async def test_a_handler_that_outlasts_the_deadline_is_cancelled_and_its_event_handled_elsewhere(
        self, stage: Stage
    ) -> None:
        cancelled, next_one = stage.recorder(act=forever), stage.recorder()
        process = await stage.consume(cancelled)
        await stage.send_numbers(1)
        await cancelled.begin(1)
        async with asyncio.timeout(self.patience):
            await process.bus.shutdown(0.05)
        assert cancelled.numbers == []
        await stage.consume(next_one)
        await next_one.see(1)
        assert next_one.attempts == [1]
