"""Punctuality: the consumer `statistics` counts by airport and by airline."""

from typing import Final, NamedTuple

from events_core import Context, EventHandlerConsumer
from examples.flight_board.books import Books
from examples.flight_board.events import FlightCancelled, FlightDelayed, FlightDeparted, FlightEvent

TABLES: Final = """
CREATE TABLE IF NOT EXISTS airports (name TEXT PRIMARY KEY, departed INT, cancelled INT, delayed INT, minutes INT);
CREATE TABLE IF NOT EXISTS airlines (name TEXT PRIMARY KEY, departed INT, cancelled INT, delayed INT, minutes INT);
"""
ADD: Final = """
INSERT INTO {} VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET departed = departed + excluded.departed,
cancelled = cancelled + excluded.cancelled, delayed = delayed + excluded.delayed, minutes = minutes + excluded.minutes
"""


class Punctuality(NamedTuple):
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

    def __init__(self, books: Books) -> None:
        self.books = books
        self.books.create(TABLES)
        self.consumer = EventHandlerConsumer("statistics")
        self.consumer.add_handler(FlightDeparted, self.departed)
        self.consumer.add_handler(FlightCancelled, self.cancelled)
        self.consumer.add_handler(FlightDelayed, self.delayed)

    @property
    def airports(self) -> dict[str, Punctuality]:
        return {name: Punctuality(*counts) for name, *counts in self.books.rows("SELECT * FROM airports")}

    @property
    def airlines(self) -> dict[str, Punctuality]:
        return {name: Punctuality(*counts) for name, *counts in self.books.rows("SELECT * FROM airlines")}

    @property
    def effects(self) -> int:
        """How many events are in the rows, added up anew from the rows themselves."""
        return self.books.number("SELECT sum(departed + cancelled + delayed) FROM airports")

    async def departed(self, event: FlightDeparted, context: Context) -> None:
        self._count(event, context.id, Punctuality(departed=1))

    async def cancelled(self, event: FlightCancelled, context: Context) -> None:
        self._count(event, context.id, Punctuality(cancelled=1))

    async def delayed(self, event: FlightDelayed, context: Context) -> None:
        self._count(event, context.id, Punctuality(delayed=1, minutes=event.delay))

    def _count(self, event: FlightEvent, event_id: str, counts: Punctuality) -> None:
        airline = event.flight[:2]
        with self.books.entry(event_id) as database:
            database.execute(ADD.format("airports"), (event.origin, *counts))
            database.execute(ADD.format("airlines"), (airline, *counts))
