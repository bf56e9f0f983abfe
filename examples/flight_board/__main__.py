"""Play a day, or with `--full` a year, at New York's airports: `python -m examples.flight_board`."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from uuid import uuid4

from rich.console import Console

from events_core import DeadLetter, IntegrationEventBus, open_bus
from examples.flight_board import board, timetable
from examples.flight_board.delay_alerts import DelayAlerts, Gateway
from examples.flight_board.departure_board import DepartureBoard
from examples.flight_board.events import FLIGHTS
from examples.flight_board.operations import Operations
from examples.flight_board.statistics import Statistics
from examples.flight_board.totals import Books

DEADLINES = {"day": 60.0, "year": 1800.0}
"""Seconds after which a run that hangs is given up."""


class Airport:
    """The three consumers, and the books that are kept on them."""

    def __init__(self, run: str, seed: int) -> None:
        self.board = DepartureBoard()
        self.alerts = DelayAlerts(Gateway(seed))
        self.statistics = Statistics()
        self.books = (
            Books(self.board.consumer, lambda: self.board.shown, run=run),
            Books(self.alerts.consumer, lambda: self.alerts.announced, run=run),
            Books(self.statistics.consumer, lambda: self.statistics.counted, run=run),
        )


def main() -> int:
    """Run the program; 0 if everything that was sent is accounted for, 1 if not."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 100)
    return 0 if asyncio.run(play(console, options.bus, seed=options.seed, full=options.full)) else 1


async def play(console: Console, url: str, *, seed: int, full: bool) -> bool:
    """Send every flight, wait until each event is through at each consumer, show the result: whether it matches."""
    run = uuid4().hex[:8]
    airport = Airport(run, seed)
    bus = open_bus(url, registrations=[book.registration for book in airport.books], source="flight-board")
    operations = Operations(bus, run)
    deadline = DEADLINES["year" if full else "day"]
    try:
        async with asyncio.timeout(deadline), bus, board.bars(console, operations, airport.books):
            sent = await operations.replay(timetable.one_year() if full else timetable.one_day())
            letters = {book.consumer: await _settled(bus, book, sent) for book in airport.books}
    except TimeoutError:
        board.show_unfinished(console, deadline, operations, airport.books)
        return False
    return _show(console, airport, sent, letters)


async def _settled(bus: IntegrationEventBus, book: Books, sent: Mapping[str, int]) -> list[DeadLetter]:
    """Wait until one consumer is through with everything, and return its dead letters."""
    await book.tally.until(book.expected(sent))
    # Leaving waits until every outcome has been settled: then what failed for the last time is among the dead letters.
    await bus.unregister(book.registration)
    letters = await bus.dead_letters(book.consumer, FLIGHTS).list(limit=10_000)
    return [letter for letter in letters if book.tally.is_ours(letter.id)]


def _show(console: Console, airport: Airport, sent: Mapping[str, int], letters: Mapping[str, list[DeadLetter]]) -> bool:
    board.show_departures(console, airport.board.lines)
    board.show_statistics(console, "By airport", airport.statistics.airports)
    board.show_statistics(console, "By airline", airport.statistics.airlines)
    for consumer, found in letters.items():
        board.show_dead_letters(console, consumer, found)
    accounts = [book.close(sent, [letter.id for letter in letters[book.consumer]]) for book in airport.books]
    return board.show_totals(console, accounts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.flight_board", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all 336,776 departures of 2013 instead of one day")
    parser.add_argument("--bus", default="memory://", metavar="URL", help="the broker to run on (%(default)s)")
    parser.add_argument("--seed", type=int, default=2013, help="decides when the gateway is down (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
