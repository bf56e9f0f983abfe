"""The board in the hall: the consumer `departure_board` keeps the latest departures."""

from datetime import datetime
from typing import Final, NamedTuple

from events_core import Context, EventHandlerConsumer
from examples.flight_board.books import Books
from examples.flight_board.events import FlightCancelled, FlightDeparted, FlightEvent

LINES: Final = 12

TABLES: Final = """
CREATE TABLE IF NOT EXISTS lines (scheduled TEXT, flight TEXT, origin TEXT, destination TEXT, status TEXT);
"""
LAST: Final = "SELECT * FROM lines ORDER BY scheduled DESC, flight DESC LIMIT ?"


class Line(NamedTuple):
    """One line of the board; lines sort by time."""

    scheduled: datetime
    flight: str
    origin: str
    destination: str
    status: str


class DepartureBoard:
    """Shows as many lines as fit, those with the latest time, in whatever order the news comes in."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.books.create(TABLES)
        self.consumer = EventHandlerConsumer(
            "departure_board", {FlightDeparted: [self.departed], FlightCancelled: [self.cancelled]}
        )

    @property
    def effects(self) -> int:
        """Lines written."""
        return self.books.number("SELECT count(*) FROM lines")

    @property
    def lines(self) -> list[Line]:
        """The board as it hangs now, earliest departure first."""
        return sorted(Line(datetime.fromisoformat(time), *rest) for time, *rest in self.books.rows(LAST, LINES))

    async def departed(self, event: FlightDeparted, context: Context) -> None:
        self._show(event, context.id, f"departed, {event.delay} min late" if event.delay > 0 else "departed")

    async def cancelled(self, event: FlightCancelled, context: Context) -> None:
        self._show(event, context.id, "CANCELLED")

    def _show(self, event: FlightEvent, event_id: str, status: str) -> None:
        line = (event.scheduled.isoformat(), event.flight, event.origin, event.destination, status)
        with self.books.entry(event_id) as database:
            database.execute("INSERT INTO lines VALUES (?, ?, ?, ?, ?)", line)
