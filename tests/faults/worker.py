"""A process that consumes or sends until SIGTERM: `python -m tests.faults.worker '<order as JSON>'`."""

import asyncio
import itertools
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from events_core import IntegrationEventBus, Registration, RetryPolicy, Topic, open_bus
from events_core.errors import EventsError
from tests.faults.consumers import journaling
from tests.faults.events import Work
from tests.faults.journal import Journal
from tests.faults.waiting import until

__all__ = ["Consume", "Send", "end_with_the_test"]

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PAUSE: Final = 0.05
"""Seconds that a sender waits after an error, as any caller in its right mind would."""


class Consume(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Handle what comes, and drain on SIGTERM."""

    url: str
    topic: str
    journal: str
    gate: str
    consumer: str = "first"
    concurrency: int = 10
    prefetch: int = 100
    timeout: float = 60.0
    delays: tuple[float, ...] = (1.0,)
    max_deliveries: int = 10
    watch: bool = False
    """Write down whenever the number of deliveries in the process changes."""


class Send(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Keep `in_flight` sends going until SIGTERM."""

    url: str
    topic: str
    journal: str
    in_flight: int = 100
    timeout: float = 5.0


async def consume(order: Consume, journal: Journal) -> None:
    """Until SIGTERM, then drain."""
    registration = Registration(
        journaling(order.consumer, journal, Path(order.gate)),
        Topic(order.topic),
        concurrency=order.concurrency,
        prefetch=order.prefetch,
        timeout=order.timeout,
        retry=RetryPolicy(delays=order.delays),
        max_deliveries=order.max_deliveries,
    )
    bus = open_bus(order.url, source="faults", registrations=[registration])
    journal.write("starting", number=_memory())
    telling = asyncio.create_task(_tell(bus, journal, watch=order.watch))
    await bus.run(deadline=20)
    telling.cancel()
    journal.write("stopped")


async def _tell(bus: IntegrationEventBus, journal: Journal, *, watch: bool) -> None:
    async def is_ready() -> bool:
        return (await bus.health()).ready

    await until(is_ready)
    journal.write("ready")
    held = 0
    while watch:
        health = await bus.health()
        if health.subscriptions and health.subscriptions[0].held != held:
            held = health.subscriptions[0].held
            journal.write("held", number=held)
        await asyncio.sleep(0.02)


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


async def send(order: Send, journal: Journal) -> None:
    """Until SIGTERM; sends that are on their way are waited for."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    numbers = itertools.count()
    async with open_bus(order.url, source="faults") as bus:
        journal.write("ready")
        await asyncio.gather(*(_send_on(bus, order, journal, numbers, stop) for _ in range(order.in_flight)))
    journal.write("stopped")


async def _send_on(
    bus: IntegrationEventBus, order: Send, journal: Journal, numbers: "itertools.count[int]", stop: asyncio.Event
) -> None:
    topic = Topic(order.topic)
    while not stop.is_set():
        number = next(numbers)
        event_id = f"{os.getpid()}-{number}"
        journal.write("sending", event_id, number=number)
        try:
            await bus.send(topic, Work(number=number), id=event_id, timeout=order.timeout)
        except EventsError as error:
            journal.write("refused", event_id, number=number, detail=type(error).__name__)
            await asyncio.sleep(_PAUSE)
        except BaseException as error:
            journal.write("refused", event_id, number=number, detail=type(error).__name__)
            raise
        else:
            journal.write("confirmed", event_id, number=number)


def end_with_the_test() -> None:
    """The test holds the other end of our standard input."""

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()


def main(text: str) -> None:
    """Follow an order."""
    end_with_the_test()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    order = msgspec.json.decode(text, type=Consume | Send)
    journal = Journal(Path(order.journal))
    asyncio.run(consume(order, journal) if isinstance(order, Consume) else send(order, journal))


if __name__ == "__main__":
    main(sys.argv[1])
