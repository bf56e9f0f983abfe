import pytest

from events_core import Reject, RetryLater, RetryPolicy
from events_core.errors import ConfigurationError, InvalidPayload
from events_core.integration import GiveUp, Retry

FAILED = OSError("no")


def test_the_ladder_is_climbed_step_by_step_then_the_event_is_given_up() -> None:
    policy = RetryPolicy(delays=(1, 5))
    decisions = [policy.decide(attempt, FAILED) for attempt in (1, 2, 3)]
    assert decisions == [Retry(1), Retry(5), GiveUp("failed 3 times")]


def test_immediate_retries_come_before_the_ladder() -> None:
    policy = RetryPolicy(delays=(7,), immediate=2)
    decisions = [policy.decide(attempt, FAILED) for attempt in (1, 2, 3, 4)]
    assert decisions == [Retry(0.0), Retry(0.0), Retry(7), GiveUp("failed 4 times")]


def test_without_a_ladder_the_first_failure_is_the_last_and_unknown_contracts_still_have_a_step() -> None:
    policy = RetryPolicy(delays=())
    assert policy.decide(1, FAILED) == GiveUp("failed 1 times")
    assert policy.steps == (60.0,)


def test_reject_gives_up_at_once_with_its_reason() -> None:
    assert RetryPolicy().decide(1, Reject("no such account")) == GiveUp("no such account")


@pytest.mark.parametrize("error", [KeyError("x"), InvalidPayload("C", "f", "bad")])
def test_what_waiting_does_not_cure_gives_up_at_once(error: Exception) -> None:
    assert isinstance(RetryPolicy(dead_letter_on=(LookupError,)).decide(1, error), GiveUp)


def test_retry_later_says_its_own_delay_but_uses_up_an_attempt() -> None:
    policy = RetryPolicy(delays=(1, 5))
    assert policy.decide(1, RetryLater(90)) == Retry(90)
    assert policy.decide(1, RetryLater(-1)) == Retry(0.0)
    assert isinstance(policy.decide(3, RetryLater(90)), GiveUp)


@pytest.mark.parametrize(("after", "step"), [(0.5, 1), (1, 1), (1.1, 5), (5, 5), (6, 5)])
def test_a_delay_is_rounded_up_to_a_step_as_far_as_there_is_one(after: float, step: float) -> None:
    assert RetryPolicy(delays=(1, 5, 5)).step_for(after) == step


def test_steps_are_distinct() -> None:
    assert RetryPolicy(delays=(1, 5, 5)).steps == (1, 5)


@pytest.mark.parametrize("options", [{"delays": (0,)}, {"delays": (5, 1)}, {"delays": (-1,)}, {"immediate": -1}])
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        RetryPolicy(**options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
