"""C6: what becomes of an event that is given up."""

import time

import pytest

from events_core.conformance.events import Noted
from events_core.conformance.recorder import Act, Handled, Recorder
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.errors import Reject, UnknownDeadLetter
from events_core.integration import EventHandlerConsumer, Registration, RetryPolicy

__all__ = ["DeadLettersKept"]


class DeadLettersKept(Scenarios):
    """C6."""

    async def test_an_event_is_dead_lettered_after_its_last_attempt_with_all_that_is_known(self, stage: Stage) -> None:
        async def fail(handled: Handled) -> None:
            raise ValueError("broken")

        recorder = stage.recorder(act=fail)
        before = time.time()
        await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=stage.delays[:1])))
        await stage.sender.send(stage.topic, Noted(1), id="doomed", key="k", headers={"tenant": "acme"})
        (letter,) = await stage.dead_letters("first", 1)
        assert (letter.id, letter.type, letter.version) == ("doomed", Noted.type, Noted.version)
        assert (letter.source, letter.key, letter.headers) == ("conformance", "k", {"tenant": "acme"})
        assert (letter.origin, letter.attempts) == (f"first.{stage.topic.name}", 2)
        assert letter.error == "ValueError: broken"
        assert "in fail" in letter.traceback
        assert letter.reason
        assert b'"number":1' in letter.body
        first, last = letter.first_failure.timestamp(), letter.last_failure.timestamp()
        assert before - 0.001 <= first <= last <= time.time()
        assert recorder.attempts == [1, 2]

    async def test_a_rejected_event_is_a_dead_letter_at_once(self, stage: Stage) -> None:
        recorder = await _rejecting(stage)
        await stage.send_numbers(1)
        (letter,) = await stage.dead_letters("first", 1)
        assert (letter.reason, letter.attempts, recorder.attempts) == ("unwanted", 1, [1])

    async def test_an_error_that_waiting_does_not_cure_makes_a_dead_letter_at_once(self, stage: Stage) -> None:
        async def fail(handled: Handled) -> None:
            raise KeyError("nobody")

        recorder = stage.recorder(act=fail)
        retry = RetryPolicy(delays=stage.delays, dead_letter_on=(LookupError,))
        await stage.process(Registration(recorder, stage.topic, retry=retry))
        await stage.send_numbers(1)
        (letter,) = await stage.dead_letters("first", 1)
        assert (letter.attempts, recorder.attempts) == (1, [1])

    async def test_looking_at_dead_letters_leaves_them_there(self, stage: Stage) -> None:
        await _rejecting(stage)
        ids = await stage.send_numbers(1, 2, 3)
        await stage.dead_letters("first", 3)
        letters = stage.sender.dead_letters("first", stage.topic)
        for _ in range(25):
            assert {each.id for each in await letters.list()} == set(ids)
        assert (await letters.get(ids[1])).id == ids[1]

    async def test_a_replayed_event_reaches_only_its_consumer_as_a_first_attempt(self, stage: Stage) -> None:
        rejecting, other = await _rejecting(stage), stage.recorder("other")
        await stage.consume(other)
        ids = await stage.send_numbers(1)
        await stage.dead_letters("first", 1)
        assert await stage.sender.dead_letters("first", stage.topic).replay(*ids) == 1
        await rejecting.see(1)
        await stage.fence(other)
        runs = [(each.context.id, each.context.attempt) for each in rejecting.begun if each.number == 1]
        assert runs == [(ids[0], 1), (ids[0], 1)]
        assert other.numbers.count(1) == 1
        assert await stage.sender.dead_letters("first", stage.topic).list() == []

    async def test_a_replay_runs_only_the_handlers_that_have_not_succeeded(self, stage: Stage) -> None:
        calls: list[str] = []
        ended = stage.recorder("ended")

        async def steady(event: Noted) -> None:
            calls.append("steady")

        async def rejecting(event: Noted) -> None:
            calls.append("rejecting")
            if calls.count("rejecting") == 1:
                raise Reject("unwanted")
            await stage.send_numbers(2)

        consumer = EventHandlerConsumer("handlers", {Noted: [steady, rejecting]})
        other = stage.new_topic()
        await stage.process(Registration(consumer, other), Registration(ended, stage.topic))
        event_id = await stage.sender.send(other, Noted(1))
        letters = stage.sender.dead_letters("handlers", other)

        async def given_up() -> bool:
            return bool(await letters.list())

        await stage.until(given_up, "a dead letter")
        await letters.replay(event_id)
        await ended.see(2)
        assert calls == ["steady", "rejecting", "rejecting"]

    async def test_a_discarded_dead_letter_is_gone_and_the_others_are_not(self, stage: Stage) -> None:
        await _rejecting(stage)
        first, second = await stage.send_numbers(1, 2)
        await stage.dead_letters("first", 2)
        letters = stage.sender.dead_letters("first", stage.topic)
        assert await letters.discard(first) == 1
        assert [each.id for each in await letters.list()] == [second]

    async def test_a_long_traceback_is_cut_and_its_end_kept(self, stage: Stage) -> None:
        async def fail(handled: Handled) -> None:
            raise Reject("unwanted") from ValueError("é" * 20_000)

        await stage.consume(stage.recorder(act=fail))
        await stage.send_numbers(1)
        (letter,) = await stage.dead_letters("first", 1)
        assert len(letter.traceback.encode()) <= 8 * 1024
        assert letter.traceback.rstrip().endswith("unwanted")

    async def test_an_unknown_dead_letter_is_an_error_with_its_id(self, stage: Stage) -> None:
        await _rejecting(stage)
        letters = stage.sender.dead_letters("first", stage.topic)
        for ask in (letters.get, letters.replay, letters.discard):
            with pytest.raises(UnknownDeadLetter) as error:
                await ask("nobody")
            assert error.value.ids == ("nobody",)

    async def test_dead_letters_outlive_the_process_that_made_them(self, stage: Stage) -> None:
        recorder = stage.recorder(act=_reject_first())
        process = await stage.consume(recorder)
        ids = await stage.send_numbers(1)
        await stage.dead_letters("first", 1)
        await process.bus.shutdown()
        assert [each.id for each in await stage.dead_letters("first", 1)] == ids
        await stage.consume(recorder)
        await stage.sender.dead_letters("first", stage.topic).replay(*ids)
        await recorder.see(1)


def _reject_first() -> Act:
    """Reject each event the first time it comes."""
    rejected: set[str] = set()

    async def act(handled: Handled) -> None:
        if handled.context.id not in rejected and handled.number < 1_000:
            rejected.add(handled.context.id)
            raise Reject("unwanted")

    return act


async def _rejecting(stage: Stage) -> Recorder:
    recorder = stage.recorder(act=_reject_first())
    await stage.consume(recorder)
    return recorder
