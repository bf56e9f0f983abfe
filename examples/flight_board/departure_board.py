"""The board in the hall: the consumer `departure_board` keeps the latest departures."""

import heapq
from datetime import datetime
from typing import NamedTuple

from events_core import EventHandlerConsumer
from examples.flight_board.events import FlightCancelled, FlightDeparted, FlightEvent

LINES = 12


class Line(NamedTuple):
    """One line of the board; lines sort by time."""

    scheduled: datetime
    flight: str
    origin: str
    destination: str
    status: str


class DepartureBoard:
    """Shows as many lines as fit, those with the latest time, in whatever order the news comes in."""

    def __init__(self) -> None:
        self.shown = 0
        self._lines: list[Line] = []
        self.consumer = EventHandlerConsumer(
            "departure_board", {FlightDeparted: [self.departed], FlightCancelled: [self.cancelled]}
        )

    @property
    def lines(self) -> list[Line]:
        """The board as it hangs now, earliest departure first."""
        return sorted(self._lines)

    async def departed(self, event: FlightDeparted) -> None:
        self._show(event, f"departed, {event.delay} min late" if event.delay > 0 else "departed")

    async def cancelled(self, event: FlightCancelled) -> None:
        self._show(event, "CANCELLED")

    def _show(self, event: FlightEvent, status: str) -> None:
        line = Line(event.scheduled, event.flight, event.origin, event.destination, status)
        add = heapq.heappush if len(self._lines) < LINES else heapq.heappushpop
        add(self._lines, line)
        self.shown += 1
