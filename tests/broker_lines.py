"""The brokers that this repository has an adapter for, the browser, and the lines that say what ran on each.

A new adapter adds one row to `BROKERS` and marks its tests with `pytest.mark.broker(name)`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A broker whose tests are counted; `remedy` says how to make them run."""

    name: str
    remedy: str


BROKERS: Final = (
    Broker(name="memory", remedy="run the whole suite with `make test`"),
    Broker(name="kafka", remedy="install it with `make brokers`, then run the whole suite with `make test`"),
    Broker(name="postgresql", remedy="install it with `make brokers`, then run the whole suite with `make test`"),
    Broker(name="rabbitmq", remedy="install it with `make brokers`, then run the whole suite with `make test`"),
    Broker(name="redis", remedy="install it with `make brokers`, then run the whole suite with `make test`"),
    # No broker, and needed by tests in the same way.
    Broker(name="chromium", remedy="install it with `make brokers`, then run the whole suite with `make test`"),
)

UNAVAILABLE: Final = "not available: "
"""How the reason of a skip begins where the broker cannot be had."""
RAN: Final = {"passed": "passed", "failed": "failed", "xfailed": "known gaps"}
DID_NOT_RUN: Final = {"skipped": "skipped", "error": "could not be set up"}


@dataclass(slots=True)
class Tally:
    """What became of the tests of one broker."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    skip_reasons: Counter[str] = field(default_factory=Counter[str])

    @property
    def ran(self) -> int:
        """How many tests ran to an end."""
        return sum(self.outcomes[outcome] for outcome in RAN)

    def unavailable(self, broker: Broker) -> list[str]:
        """Why the broker could not be had; empty when it could, or when nobody asked for it.

        A test of two brokers that lacks one was skipped on both: the reason names the one.
        """
        reasons = [each.removeprefix(UNAVAILABLE) for each in self.skip_reasons if each.startswith(UNAVAILABLE)]
        return sorted(each for each in reasons if broker.name in each.lower())


def line(broker: Broker, tally: Tally) -> str:
    """One line: how many tests ran on the broker, or why it cannot be said that they did."""
    details = [f"{tally.outcomes[outcome]} {words}" for outcome, words in (RAN | DID_NOT_RUN).items()]
    happened = ", ".join(detail for detail in details if not detail.startswith("0 "))
    if unavailable := tally.unavailable(broker):
        # A few tests need no broker to pass: they are not what this line is about. The reason says what to do.
        return f"{broker.name:<10} NOT AVAILABLE: {happened} ({'; '.join(unavailable)})"
    if tally.ran:
        return f"{broker.name:<10} {tally.ran} tests ran: {happened}"
    reasons = "; ".join(sorted(tally.skip_reasons))
    why = f"{happened} ({reasons})" if reasons else happened or "none was selected"
    return f"{broker.name:<10} NO TEST RAN: {why}; {broker.remedy}"


def without_tests(brokers: Iterable[Broker], tallies: Mapping[str, Tally]) -> list[Broker]:
    """The brokers that could not be had, or on which nothing ran."""
    return [each for each in brokers if tallies[each.name].unavailable(each) or not tallies[each.name].ran]
