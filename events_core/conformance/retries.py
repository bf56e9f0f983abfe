"""C5: a retry is never early, never lost, and blocks nobody."""

from itertools import pairwise
from typing import Final

from events_core.conformance.recorder import Act, Handled, Recorder
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.errors import RetryLater
from events_core.integration import Registration, RetryPolicy

__all__ = ["Retries"]

_CLOCKS: Final = 0.005
"""Seconds by which the clocks of an event loop and a process may differ."""


class Retries(Scenarios):
    """C5."""

    async def test_attempts_are_counted_from_one(self, stage: Stage) -> None:
        recorder = stage.recorder(act=_twice(ValueError("not yet")))
        await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=stage.delays[:1] * 2)))
        await stage.send_numbers(1)
        await recorder.count(1)
        assert recorder.attempts == [1, 2, 3]

    async def test_a_retry_is_never_early(self, stage: Stage) -> None:
        recorder = stage.recorder(act=_twice(ValueError("not yet")))
        await stage.consume(recorder)
        await stage.send_numbers(1)
        await recorder.count(1)
        pauses = zip(_pauses(recorder), stage.delays, strict=True)
        assert [pause for pause, delay in pauses if pause < delay - _CLOCKS] == []

    async def test_a_waiting_event_blocks_nobody(self, stage: Stage) -> None:
        recorder = stage.recorder(act=_once(1, ValueError("not yet")))
        retry = RetryPolicy(delays=(2 * self.patience,))
        await stage.process(Registration(recorder, stage.topic, concurrency=1, prefetch=1, retry=retry))
        await stage.send_numbers(*range(1, 10))
        await recorder.see(*range(2, 10))
        assert 1 not in recorder.numbers

    async def test_a_long_wait_does_not_hold_up_a_shorter_one_begun_later(self, stage: Stage) -> None:
        short, long = stage.delays

        async def wait(handled: Handled) -> None:
            if handled.context.attempt == 1:
                raise RetryLater(long if handled.number == 1 else short)

        recorder = stage.recorder(act=wait)
        await stage.process(Registration(recorder, stage.topic, concurrency=1, retry=stage.retry))
        await stage.send_numbers(1, 2)
        await recorder.see(1, 2)
        assert recorder.numbers == [2, 1]

    async def test_a_retry_reaches_only_the_consumer_that_failed(self, stage: Stage) -> None:
        failing, other = stage.recorder("failing", act=_once(1, ValueError("not yet"))), stage.recorder("other")
        await stage.consume(failing)
        await stage.consume(other)
        await stage.send_numbers(1)
        await failing.see(1)
        await stage.fence(other)
        assert other.numbers.count(1) == 1

    async def test_what_waits_on_an_old_ladder_is_not_lost_on_a_new_one(self, stage: Stage) -> None:
        short, long = stage.delays
        recorder = stage.recorder(act=_once(1, ValueError("not yet")))
        old = await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=(long,))))
        await stage.send_numbers(1)
        await recorder.begin(1)
        await old.bus.shutdown()
        await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=(short,))))
        await recorder.see(1)
        assert recorder.attempts == [1, 2]

    async def test_a_waiting_event_outlives_its_process_and_is_not_early(self, stage: Stage) -> None:
        recorder = stage.recorder(act=_once(1, RetryLater(stage.delays[-1])))
        process = await stage.consume(recorder)
        await stage.send_numbers(1)
        await recorder.begin(1)
        await process.bus.shutdown()
        await stage.consume(recorder)
        await recorder.see(1)
        assert recorder.attempts == [1, 2]
        assert _pauses(recorder)[0] >= stage.delays[-1] - _CLOCKS

    async def test_retry_later_is_rounded_up_to_a_step_of_the_ladder(self, stage: Stage) -> None:
        short, long = stage.delays
        recorder = stage.recorder(act=_once(1, RetryLater((short + long) / 2)))
        await stage.consume(recorder)
        await stage.send_numbers(1)
        await recorder.see(1)
        assert _pauses(recorder)[0] >= long - _CLOCKS


def _once(number: int, error: Exception) -> Act:
    """Fail the first attempt of the event with this number."""

    async def act(handled: Handled) -> None:
        if handled.number == number and handled.context.attempt == 1:
            raise error

    return act


def _twice(error: Exception) -> Act:
    """Fail the first two calls, whatever their number."""
    calls: list[Handled] = []

    async def act(handled: Handled) -> None:
        calls.append(handled)
        if len(calls) <= 2:
            raise error

    return act


def _pauses(recorder: Recorder) -> list[float]:
    return [later.moment - earlier.moment for earlier, later in pairwise(recorder.begun)]
