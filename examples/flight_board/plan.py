"""What is played: a day, or a year."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from examples.flight_board import timetable
from examples.flight_board.timetable import Flight


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The flights of one run, and how it is played."""

    flights: Callable[[], Iterable[Flight]]
    deadline: float
    """Seconds after which a run that hangs is given up."""
    kill_after: range
    """As processes: how many events a consumer has handled when it is killed; which, the seed decides."""
    pause: float
    """As processes: seconds for which a consumer is busy with an event beyond its effect, so that it is killed at work.

    Only with as many events as it takes until then: the rest of the run need not wait.
    """


DAY: Final = Plan(flights=timetable.one_day, deadline=120.0, kill_after=range(30, 60), pause=0.2)
YEAR: Final = Plan(flights=timetable.one_year, deadline=1800.0, kill_after=range(10_000, 30_000), pause=0.002)
