"""The operations service: reads the timetable and tells the world. It knows the bus and the events, no consumer."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice

from events_core import IntegrationEventBus
from examples.flight_board.books import SentLog
from examples.flight_board.events import FLIGHTS, FlightCancelled, FlightDelayed, FlightDeparted, FlightEvent
from examples.flight_board.timetable import Flight

WORTH_AN_ALERT = 15  # minutes
IN_FLIGHT = 200


class Operations:
    """Sends every flight's events, in the order of the timetable.

    `run` starts the ids of this run's events, which go on with a running number: an id says which event it is, and
    sending it a second time under the same id would be recognised by every consumer.
    """

    def __init__(self, bus: IntegrationEventBus, log: SentLog, *, run: str) -> None:
        self._bus = bus
        self._log = log
        self._run = run

    async def replay(self, flights: Iterable[Flight]) -> None:
        """Send it all. At most `IN_FLIGHT` sends overlap.

        A send that has returned is safely in the broker's hands; the first that fails ends the replay with its error.
        """
        numbered = enumerate(event for flight in flights for event in events_of(flight))
        while window := list(islice(numbered, IN_FLIGHT)):
            async with asyncio.TaskGroup() as group:
                for number, event in window:
                    group.create_task(self._bus.send(FLIGHTS, event, id=f"{self._run}.{number}"))
            self._log.add(event.type for _, event in window)


def events_of(flight: Flight) -> Iterator[FlightEvent]:
    """What there is to say about a flight: cancelled, or departed and perhaps delayed."""
    facts = (flight.number, flight.aircraft, flight.origin, flight.destination, flight.scheduled)
    if flight.delay is None:
        yield FlightCancelled(*facts)
        return
    if flight.delay >= WORTH_AN_ALERT:
        yield FlightDelayed(*facts, flight.delay)
    yield FlightDeparted(*facts, flight.delay)
