"""One service as a process of its own: `operations` sends the flights and ends, a consumer works until SIGTERM.

`python -m examples.flight_board.service statistics --bus amqp://localhost --folder /tmp/books --run monday`
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Final

from events_core import Context, IntegrationEvent, open_bus
from examples.flight_board.airport import CONSUMERS, Airport, registration
from examples.flight_board.operations import Operations
from examples.flight_board.plan import DAY, YEAR, Plan

SENDER: Final = "operations"
READY: Final = "ready"
"""What a consumer prints when every event sent from now on will reach it."""


async def send(airport: Airport, plan: Plan, url: str) -> None:
    """Be the sender, to the last flight."""
    async with open_bus(url, source=SENDER) as bus:
        await Operations(bus, airport.sent_log, run=airport.run).replay(plan.flights())


async def consume(airport: Airport, plan: Plan, url: str, name: str) -> None:
    """Be one of the consumers, until SIGTERM."""
    numbers = count(1)

    async def busy(event: IntegrationEvent, context: Context, call: Callable[[], Awaitable[None]]) -> None:
        await call()
        if next(numbers) <= plan.kill_after.stop:
            # Killed in here, a process has done what the broker has not heard of: the event will come again.
            await asyncio.sleep(plan.pause)

    bus = open_bus(url, registrations=[registration(airport.service(name), busy)], source=name)
    await bus.startup()
    print(READY, flush=True)
    await bus.run()


def main() -> None:
    options = _options()
    plan = YEAR if options.full else DAY
    options.folder.mkdir(parents=True, exist_ok=True)
    with Airport(options.folder, run=options.run, seed=options.seed) as airport:
        if options.name == SENDER:
            asyncio.run(send(airport, plan, options.bus))
        else:
            asyncio.run(consume(airport, plan, options.bus, options.name))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.flight_board.service", description=__doc__)
    parser.add_argument("name", choices=(SENDER, *CONSUMERS))
    parser.add_argument("--bus", required=True, metavar="URL", help="the broker, the same for all of them")
    parser.add_argument("--folder", required=True, type=Path, help="where each of them keeps its database")
    parser.add_argument("--run", required=True, help="what the ids of this run's events start with")
    parser.add_argument("--seed", type=int, default=2013, help="decides when the gateway is down (%(default)s)")
    parser.add_argument("--full", action="store_true", help="a whole year instead of one day")
    return parser.parse_args()


if __name__ == "__main__":
    main()
