"""Text messages to waiting passengers: the consumer `delay_alerts` depends on a gateway that is often down.

Here retries can be watched. The handler does nothing for them: it lets the gateway's error out, and the retry policy of
its registration does the rest, to the dead letter of the one alert that can never be sent.
"""

from datetime import date
from random import Random

from events_core import Context, EventHandlerConsumer
from examples.flight_board.books import Books
from examples.flight_board.events import FlightDelayed

UNREACHABLE = ("MQ3944", date(2013, 1, 1))
"""Fourteen hours late from JFK to Baltimore: the day's longest delay, and the gateway refuses it every time."""


class GatewayDown(Exception):
    """The gateway did not take the message."""


class Gateway:
    """Sends text messages, unless it is down: for every sixth flight once, for some of these twice.

    Which ones is drawn from the seed and the flight, not from the order of calls, so that every run tells the same story
    however its events overlap.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def text(self, event: FlightDelayed, attempt: int) -> None:
        """Tell the passengers of this flight.

        Raises:
            GatewayDown: nobody was told; try again.
        """
        if (event.flight, event.scheduled.date()) == UNREACHABLE:
            raise GatewayDown(f"no subscriber for flight {event.flight}")
        if attempt <= self._outages(event):
            raise GatewayDown(f"busy, flight {event.flight} was not announced")

    def _outages(self, event: FlightDelayed) -> int:
        draw = Random(f"{self._seed} {event.flight} {event.scheduled:%F}").randrange(18)
        return {0: 2, 1: 1, 2: 1}.get(draw, 0)


class DelayAlerts:
    """Announces every delay once."""

    def __init__(self, books: Books, gateway: Gateway) -> None:
        self.books = books
        self.books.create("CREATE TABLE IF NOT EXISTS announced (flight TEXT, scheduled TEXT);")
        self._gateway = gateway
        self.consumer = EventHandlerConsumer("delay_alerts", {FlightDelayed: [self.delayed]})

    @property
    def effects(self) -> int:
        """Delays announced."""
        return self.books.number("SELECT count(*) FROM announced")

    async def delayed(self, event: FlightDelayed, context: Context) -> None:
        await self._gateway.text(event, context.attempt)
        # The gateway takes no part in the transaction: a process that is killed right here texts twice. Against that a
        # real gateway takes the event's id along.
        with self.books.entry(context.id) as database:
            database.execute("INSERT INTO announced VALUES (?, ?)", (event.flight, event.scheduled.isoformat()))
