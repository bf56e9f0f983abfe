"""The oracle: what was sent, and what became of it."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tests.faults.journal import Entry, Journal

__all__ = ["TYPED", "Account", "early", "overdue"]

TYPED: Final = frozenset({"NotConnected", "OutcomeUnknown", "SendRejected"})
"""What a send may end with when the broker is in trouble."""
SLACK: Final = 2.0
"""Seconds that a busy machine may take to write down what came in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The sets that a test compares."""

    sent: Collection[str]
    confirmed: Collection[str]
    refused: Counter[str]
    """By class of error."""
    handled: Counter[str]
    """How often each event was."""
    dead: Collection[str]

    @classmethod
    def of(cls, journal: Journal, dead: Collection[str] = ()) -> "Account":
        """By what the journal says; dead letters are read from the broker."""
        return cls(
            sent=journal.ids("sending"),
            confirmed=journal.ids("confirmed"),
            refused=Counter(entry.detail for entry in journal.of("refused")),
            handled=Counter(entry.id for entry in journal.of("handled")),
            dead=frozenset(dead),
        )

    @property
    def lost(self) -> set[str]:
        """Confirmed, and neither handled nor dead."""
        return set(self.confirmed) - self.handled.keys() - set(self.dead)

    @property
    def duplicates(self) -> int:
        """Handlings beyond the first."""
        return self.handled.total() - len(self.handled)

    def __str__(self) -> str:
        return (
            f"sent={len(self.sent)} confirmed={len(self.confirmed)} unknown={self.refused.total()} "
            f"handled={len(self.handled)} duplicates={self.duplicates} dead={len(self.dead)} lost={len(self.lost)}"
        )


def overdue(journal: Journal, timeout: float) -> list[str]:
    """The sends that had no answer, none of a known kind, or one that came too late."""
    answers = {entry.id: entry for entry in journal.of("confirmed", "refused")}
    return [problem for sending in journal.of("sending") if (problem := _problem(sending, answers, timeout))]


def _problem(sending: Entry, answers: dict[str, Entry], timeout: float) -> str:
    answer = answers.get(sending.id)
    if answer is None:
        return f"{sending.id} has no answer"
    if answer.what == "refused" and answer.detail not in TYPED:
        return f"{sending.id} ended with {answer.detail}"
    took = answer.at - sending.at
    return f"{sending.id} took {took:.1f} s" if took > timeout + SLACK else ""


def early(journal: Journal, delay: float) -> list[str]:
    """The retries that began before their delay was over, counted from the first failure of the attempt before."""
    failed: dict[tuple[str, int], float] = {}
    for entry in journal.of("failed"):
        failed.setdefault((entry.id, entry.attempt), entry.at)
    begun = [entry for entry in journal.of("begun") if entry.attempt > 1]
    return [
        f"{entry.id} began attempt {entry.attempt} after {waited:.2f} s"
        for entry in begun
        if (waited := entry.at - failed[entry.id, entry.attempt - 1]) < delay
    ]
