"""What the benchmarks beside a plain client have in common: an event, its cost, and a table of rates."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import msgspec

from events_core import EventHandlerConsumer, IntegrationEvent, IntegrationEventBus, Registration, Topic

__all__ = [
    "EVENTS",
    "IN_FLIGHT",
    "ROUNDS",
    "TEXT",
    "WINDOW",
    "Bare",
    "Cost",
    "Countdown",
    "Measured",
    "concurrently",
    "show",
    "with_bus",
]

ROUNDS: Final = 5
EVENTS: Final = 10_000
IN_FLIGHT: Final = 500
WINDOW: Final = 100
TEXT: Final = "x" * 200


class Bare(msgspec.Struct, frozen=True):
    number: int
    text: str


class Measured(IntegrationEvent):
    type = "benchmark.measured"
    version = 1
    number: int
    text: str


@dataclass(slots=True)
class Cost:
    """Of one variant: events a second and processor microseconds an event, round by round."""

    rates: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])

    async def of(self, work: Awaitable[None]) -> None:
        began, cpu = time.perf_counter(), time.process_time()
        await work
        self.rates.append(EVENTS / (time.perf_counter() - began))
        self.cpu.append((time.process_time() - cpu) / EVENTS * 1e6)


class Countdown:
    """Done when everything was handled."""

    def __init__(self) -> None:
        self._left = EVENTS
        self.done = asyncio.Event()

    def count(self) -> None:
        self._left -= 1
        if not self._left:
            self.done.set()


async def concurrently(send: Callable[[int], Awaitable[object]]) -> None:
    """Send everything, so many at a time."""

    async def some(first: int) -> None:
        for number in range(first, EVENTS, IN_FLIGHT):
            await send(number)

    await asyncio.gather(*(some(first) for first in range(IN_FLIGHT)))


async def with_bus(bus: IntegrationEventBus, sending: Cost, consuming: Cost) -> None:
    """The adapter's side: everything is sent to a subscription, and then handled."""
    topic, countdown = Topic("benchmark"), Countdown()

    async def handle(event: Measured) -> None:
        countdown.count()

    consumer = EventHandlerConsumer("bus", {Measured: [handle]})
    registration = Registration(consumer, topic, prefetch=WINDOW, concurrency=WINDOW)
    async with bus:
        await bus.register(registration)
        await bus.unregister(registration)

        async def send(number: int) -> None:
            await bus.send(topic, Measured(number, TEXT))

        async def receive() -> None:
            await bus.register(registration)
            await countdown.done.wait()
            await bus.unregister(registration)

        await sending.of(concurrently(send))
        await consuming.of(receive())
        await bus.delete_subscription("bus", topic, force=True)


def show(title: str, costs: Mapping[str, Cost]) -> None:
    """A line a variant, beside the first."""
    print(f"{title:32} {'events/s':>10} {'CPU µs':>8} {'ratio':>7}")
    rates = {name: median(cost.rates) for name, cost in costs.items()}
    first = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"  {name:30} {rate:10,.0f} {median(costs[name].cpu):8.1f} {rate / first:6.1f}x")
