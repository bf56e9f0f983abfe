"""Play a day, or with `--full` a year, at New York's airports: `python -m examples.flight_board`.

In memory everything happens in one process; on a broker every service is a process of its own, and one is killed.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from rich.console import Console

from events_core import DeadLetter
from examples.flight_board import board, one_process, processes
from examples.flight_board.airport import Airport
from examples.flight_board.plan import DAY, YEAR, Plan

IN_MEMORY = "memory"


def main() -> int:
    """Run the program; 0 if everything that was sent is accounted for, 1 if not."""
    # Whoever ends this program by SIGTERM ends what it has started, too, as with Ctrl-C; also where a shell started it
    # in the background, which ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 100)
    plan = YEAR if options.full else DAY
    if options.broker == IN_MEMORY:
        return run(console, plan, options.bus, options.seed)
    return run_with_broker(console, plan, options.broker, options.seed)


def run_with_broker(console: Console, plan: Plan, name: str, seed: int) -> int:
    """Start the broker of this name and play it there; 1 if there is no such broker."""
    from brokers import BrokerFailed, BrokerUnavailable, open_broker  # slow, and in memory not needed

    console.print(f"Starting {name} ...")
    try:
        with open_broker(name) as broker:
            return run(console, plan, broker.url, seed)
    except (BrokerUnavailable, BrokerFailed) as error:
        console.print(str(error), markup=False, highlight=False)
        return 1


def run(console: Console, plan: Plan, url: str, seed: int) -> int:
    """Play it on the bus at this URL; 0 if everything that was sent is accounted for, 1 if not."""
    with TemporaryDirectory() as folder, Airport(Path(folder), run=uuid4().hex[:8], seed=seed) as airport:
        try:
            letters = asyncio.run(play(console, airport, plan, url))
        except TimeoutError:
            board.show_unfinished(console, plan.deadline, airport)
            return 1
        except processes.ServiceEnded as error:
            console.print(f"{error}.")
            return 1
        return 0 if show(console, airport, letters) else 1


async def play(console: Console, airport: Airport, plan: Plan, url: str) -> dict[str, list[DeadLetter]]:
    """Send every flight, wait until each event is through at each consumer, return the consumers' dead letters."""
    async with asyncio.timeout(plan.deadline), board.bars(console, airport):
        if url.startswith(f"{IN_MEMORY}:"):
            return await one_process.play(airport, plan, url)
        return await processes.play(console, airport, plan, url)


def show(console: Console, airport: Airport, letters: dict[str, list[DeadLetter]]) -> bool:
    """Show what the consumers made of it; whether the totals match."""
    board.show_departures(console, airport.departure_board.lines)
    board.show_statistics(console, "By airport", airport.statistics.airports)
    board.show_statistics(console, "By airline", airport.statistics.airlines)
    for consumer, found in letters.items():
        board.show_dead_letters(console, consumer, found)
    return board.show_totals(console, airport.accounts(letters))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.flight_board", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all 336,776 departures of 2013 instead of one day")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--broker", default=IN_MEMORY, metavar="NAME", help="start it and run on it (%(default)s)")
    where.add_argument("--bus", default="memory://", metavar="URL", help="run on a broker that is there already")
    parser.add_argument("--seed", type=int, default=2013, help="decides what goes wrong, and when (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
