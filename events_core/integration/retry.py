"""Retry as a policy: a failure and an attempt go in, a decision comes out."""

from dataclasses import dataclass
from itertools import pairwise

from events_core.errors import ConfigurationError, MessageError, Reject, RetryLater

__all__ = ["GiveUp", "Retry", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class Retry:
    """Handle it again after this many seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Keep it as a dead letter, for this reason."""

    reason: str


_STEP_WITHOUT_LADDER = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how late a failed event is handled again: `1 + immediate + len(delays)` attempts in all.

    `delays` is the ladder, in seconds, ascending; `immediate` retries come before it, within the process;
    `dead_letter_on` are errors that waiting does not cure.
    """

    delays: tuple[float, ...] = (1, 5, 30, 120, 600)
    immediate: int = 0
    dead_letter_on: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        if any(delay <= 0 for delay in self.delays) or any(a > b for a, b in pairwise(self.delays)):
            raise ConfigurationError(f"retry delays are positive seconds in ascending order, not {self.delays}")
        if self.immediate < 0:
            raise ConfigurationError(f"immediate counts retries, from 0 on, not {self.immediate}")

    @property
    def steps(self) -> tuple[float, ...]:
        """The distinct delays. There is always one, as events of unknown contracts wait for a newer replica."""
        return tuple(sorted(set(self.delays))) or (_STEP_WITHOUT_LADDER,)

    def step_for(self, after: float) -> float:
        """The shortest step that is not earlier; else the longest there is."""
        return next((step for step in self.steps if step >= after), self.steps[-1])

    def decide(self, attempt: int, error: Exception) -> Retry | GiveUp:
        """What follows when this attempt, counted from 1, failed with this error."""
        if (reason := self._reason_to_give_up(attempt, error)) is not None:
            return GiveUp(reason)
        if isinstance(error, RetryLater):
            return Retry(max(error.after, 0.0))
        return Retry(0.0 if attempt <= self.immediate else self.delays[attempt - self.immediate - 1])

    def _reason_to_give_up(self, attempt: int, error: Exception) -> str | None:
        if isinstance(error, Reject):
            return error.reason
        if isinstance(error, (MessageError, *self.dead_letter_on)):
            return f"{type(error).__name__} is not cured by waiting"
        if attempt > self.immediate + len(self.delays):
            return f"failed {attempt} times"
        return None
