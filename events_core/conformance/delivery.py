"""C3: every event reaches every subscription."""

import asyncio

from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled, forever
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.integration import EventHandlerConsumer, Registration

__all__ = ["Delivering"]


class Delivering(Scenarios):
    """C3."""

    async def test_every_consumer_gets_every_event(self, stage: Stage) -> None:
        first, second = stage.recorder("first"), stage.recorder("second")
        await stage.consume(first)
        await stage.consume(second)
        await stage.send_numbers(*range(20))
        await first.see(*range(20))
        await second.see(*range(20))

    async def test_processes_of_one_consumer_share_its_events_and_none_is_handled_twice_in_calm(
        self, stage: Stage
    ) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        await stage.consume(recorder)
        await asyncio.gather(*(stage.sender.send(stage.topic, Noted(n), key=f"key-{n}") for n in range(40)))
        await recorder.see(*range(40))
        await stage.fence(recorder)
        numbers = [number for number in recorder.numbers if number < 40]
        assert sorted(numbers) == list(range(40))

    async def test_events_sent_while_all_processes_are_down_are_handled_later(self, stage: Stage) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await process.bus.shutdown()
        await stage.send_numbers(*range(50))
        await stage.consume(recorder)
        await recorder.see(*range(50))

    async def test_the_id_of_an_event_stays_the_same_over_its_retries(self, stage: Stage) -> None:
        async def fail_once(handled: Handled) -> None:
            if handled.context.attempt == 1:
                raise ValueError("not yet")

        recorder = stage.recorder(act=fail_once)
        await stage.consume(recorder)
        (event_id,) = await stage.send_numbers(1)
        await recorder.count(1)
        assert [each.context.id for each in recorder.begun] == [event_id, event_id]

    async def test_a_retry_runs_only_the_handlers_that_have_not_succeeded(self, stage: Stage) -> None:
        calls: list[str] = []
        ended = stage.recorder("ended")

        async def steady(event: Noted) -> None:
            calls.append("steady")

        async def flaky(event: Noted) -> None:
            calls.append("flaky")
            if calls.count("flaky") == 1:
                raise ValueError("not yet")
            await stage.send_numbers(2)

        consumer = EventHandlerConsumer("handlers")
        consumer.add_handler(Noted, steady)
        consumer.add_handler(Noted, flaky)
        answers = stage.new_topic()
        await stage.process(Registration(consumer, answers, retry=stage.retry), Registration(ended, stage.topic))
        await stage.sender.send(answers, Noted(1))
        await ended.see(2)
        assert calls == ["steady", "flaky", "flaky"]

    async def test_a_delivery_that_its_process_did_not_survive_counts_no_attempt(self, stage: Stage) -> None:
        killed, survivor = stage.recorder(act=forever), stage.recorder()
        process = await stage.consume(killed)
        await stage.send_numbers(1)
        await killed.begin(1)
        await process.kill()
        await stage.consume(survivor)
        await survivor.see(1)
        assert survivor.attempts == [1]
