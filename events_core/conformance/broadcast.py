"""C14: every process gets its own copy, from now on."""

import asyncio

from events_core.conformance.recorder import Handled, Recorder
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.integration import Registration, RetryPolicy
from events_core.ports import AlertKind

__all__ = ["Broadcast"]


class Broadcast(Scenarios):
    """C14."""

    async def test_every_process_gets_its_own_copy_of_a_broadcast_event(self, stage: Stage) -> None:
        first, second = stage.recorder(), stage.recorder()
        await stage.process(_broadcast(first, stage))
        await stage.process(_broadcast(second, stage))
        await stage.send_numbers(1, 2)
        await first.see(1, 2)
        await second.see(1, 2)

    async def test_a_broadcast_registration_sees_nothing_from_before_and_everything_after(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.send_numbers(1)
        process = await stage.process(_broadcast(recorder, stage))
        await stage.send_numbers(2)
        await recorder.see(2)
        await process.bus.shutdown()
        await stage.send_numbers(3)
        await process.bus.startup(self.patience)
        await stage.fence(recorder)
        assert {1, 3}.isdisjoint(recorder.numbers)

    async def test_hundreds_of_registrations_of_one_topic_each_get_the_event(self, stage: Stage) -> None:
        recorders = [stage.recorder(f"screen-{n}") for n in range(200)]
        await stage.process(*(_broadcast(recorder, stage) for recorder in recorders))
        await stage.send_numbers(1)
        await asyncio.gather(*(recorder.see(1) for recorder in recorders))

    async def test_a_failing_broadcast_handler_is_tried_again_then_dropped_and_the_others_go_on(
        self, stage: Stage
    ) -> None:
        async def fail(handled: Handled) -> None:
            if handled.number == 1:
                raise ValueError("broken")

        failing, other = stage.recorder("failing", act=fail), stage.recorder("other")
        process = await stage.process(_broadcast(failing, stage), _broadcast(other, stage))
        await stage.send_numbers(1, 2)
        await other.see(1, 2)
        await failing.see(2)
        await failing.begin(3)
        await stage.held(process, 0)
        await stage.fence(failing, other)
        assert [each.context.attempt for each in failing.begun if each.number == 1] == [1, 2]
        assert other.numbers.count(1) == 1
        assert await stage.sender.dead_letters("failing", stage.topic).list() == []

    async def test_a_broadcast_window_that_is_full_drops_and_reports_the_gap(self, stage: Stage) -> None:
        gate = asyncio.Event()

        async def wait(handled: Handled) -> None:
            await gate.wait()

        slow, witness = stage.recorder("slow", act=wait), stage.recorder("witness")
        narrow = Registration(slow, stage.topic, broadcast=True, concurrency=1, prefetch=1)
        process = await stage.process(narrow, _broadcast(witness, stage))
        await stage.send_numbers(1, 2, 3)
        await witness.see(1, 2, 3)
        gate.set()
        await slow.see(1)
        await stage.held(process, 0)
        await stage.fence(slow)
        assert {2, 3}.isdisjoint(slow.numbers)
        alerts = (await process.bus.health()).alerts
        assert [each.kind for each in alerts if each.subject == narrow.name] == [AlertKind.GAP]


def _broadcast(recorder: Recorder, stage: Stage) -> Registration:
    return Registration(recorder, stage.topic, broadcast=True, retry=RetryPolicy(delays=stage.delays[:1]))
