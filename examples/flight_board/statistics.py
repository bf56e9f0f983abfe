"""Punctuality: the consumer `statistics` counts by airport and by airline."""

from collections import defaultdict
from dataclasses import dataclass

from events_core import EventHandlerConsumer
from examples.flight_board.events import FlightCancelled, FlightDelayed, FlightDeparted, FlightEvent


@dataclass(slots=True)
class Punctuality:
    """The counts of one airport or airline. Minutes are summed over the delayed flights."""

    departed: int = 0
    cancelled: int = 0
    delayed: int = 0
    minutes: int = 0

    @property
    def mean_delay(self) -> float:
        """Minutes a delayed flight; 0 if none was."""
        return self.minutes / self.delayed if self.delayed else 0.0


class Statistics:
    """Keeps one row of counts an airport and one an airline, however many flights there are."""

    def __init__(self) -> None:
        self.airports: defaultdict[str, Punctuality] = defaultdict(Punctuality)
        self.airlines: defaultdict[str, Punctuality] = defaultdict(Punctuality)
        self.consumer = EventHandlerConsumer("statistics")
        self.consumer.add_handler(FlightDeparted, self.departed)
        self.consumer.add_handler(FlightCancelled, self.cancelled)
        self.consumer.add_handler(FlightDelayed, self.delayed)

    @property
    def counted(self) -> int:
        """How many events are in the rows, added up anew from the rows themselves."""
        return sum(row.departed + row.cancelled + row.delayed for row in self.airports.values())

    async def departed(self, event: FlightDeparted) -> None:
        for row in self._rows(event):
            row.departed += 1

    async def cancelled(self, event: FlightCancelled) -> None:
        for row in self._rows(event):
            row.cancelled += 1

    async def delayed(self, event: FlightDelayed) -> None:
        for row in self._rows(event):
            row.delayed += 1
            row.minutes += event.delay

    def _rows(self, event: FlightEvent) -> tuple[Punctuality, Punctuality]:
        airline = event.flight[:2]
        return self.airports[event.origin], self.airlines[airline]
