"""The consumer of all fault tests: does what the event says, and writes it down."""

import asyncio
import os
import time
from pathlib import Path

from events_core import Context, EventHandlerConsumer, Reject
from tests.faults.events import Toil, Work
from tests.faults.journal import Journal
from tests.faults.waiting import until

__all__ = ["journaling"]


def journaling(name: str, journal: Journal, gate: Path) -> EventHandlerConsumer:
    """Handles `Work` in tasks and `Toil` in threads. The gate is open when there is such a file."""
    consumer = EventHandlerConsumer(name)

    @consumer.on(Work)
    async def work(event: Work, context: Context) -> None:
        journal.write("begun", context.id, number=event.number, attempt=context.attempt)
        try:
            await _obey(event, context, gate)
        except asyncio.CancelledError:
            journal.write("cancelled", context.id, number=event.number, attempt=context.attempt)
            raise
        except Exception:
            journal.write("failed", context.id, number=event.number, attempt=context.attempt)
            raise
        journal.write("handled", context.id, number=event.number, attempt=context.attempt)

    @consumer.on(Toil)
    def toil(event: Toil, context: Context) -> None:
        journal.write("begun", context.id, number=event.number, attempt=context.attempt)
        time.sleep(event.seconds)
        journal.write("handled", context.id, number=event.number, attempt=context.attempt)

    return consumer


async def _obey(event: Work, context: Context, gate: Path) -> None:
    if event.deadly:
        os._exit(9)
    if event.hold:
        await until(gate.exists)
    if event.seconds:
        await asyncio.sleep(event.seconds)
    if event.reject:
        raise Reject("it said so")
    if context.attempt <= event.failures:
        raise ConnectionError(f"attempt {context.attempt} of an event that fails {event.failures} times")
