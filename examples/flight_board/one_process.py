"""The sender and the three consumers in one process, on one bus."""

import asyncio

from events_core import DeadLetter, open_bus
from examples.flight_board.airport import Airport, registration
from examples.flight_board.operations import Operations
from examples.flight_board.plan import Plan

LOOK_AGAIN = 0.05  # seconds


async def play(airport: Airport, plan: Plan, url: str) -> dict[str, list[DeadLetter]]:
    """Send every flight, wait until each event is through at each consumer, return their dead letters."""
    registrations = [registration(service) for service in airport.services]
    async with open_bus(url, registrations=registrations, source="flight-board") as bus:
        await Operations(bus, airport.sent_log, run=airport.run).replay(plan.flights())
        while not airport.is_through:  # noqa: ASYNC110 the same question as of other processes
            await asyncio.sleep(LOOK_AGAIN)
        # Leaving waits until every outcome is settled: then what failed for the last time is among the dead letters.
        for each in registrations:
            await bus.unregister(each)
        return await airport.dead_letters(bus)
