"""What a message bus costs: commands with two events each, beside calling the same handlers directly.

Run it on a quiet machine: `python -m benchmarks.message_bus`. Every handler that awaits does so once, with
`asyncio.sleep(0)`: the least that a handler with I/O does. The direct loop calls the same three handlers, in the same
order; it has no queue, no router, no dependencies and no error policy. Every round measures each, one after the other;
the medians are compared.
"""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Final

from events_core import AsyncMessageBus, Command, DomainEvent
from events_core.testing import AsyncFakeUnitOfWork

ROUNDS: Final = 5
COMMANDS: Final = 100_000
ROUND: Final = COMMANDS // ROUNDS
MESSAGES: Final = 3

Emit = Callable[..., None]


class Sell(Command[int]):
    number: int


class Sold(DomainEvent):
    number: int


class Shipped(DomainEvent):
    number: int


class Awaiting:
    """Three handlers, each with one `await`."""

    async def sell(self, command: Sell, emit: Emit) -> int:
        emit(Sold(command.number), Shipped(command.number))
        await asyncio.sleep(0)
        return command.number

    async def count(self, event: Sold) -> None:
        await asyncio.sleep(0)

    async def ship(self, event: Shipped) -> None:
        await asyncio.sleep(0)


class Bare(Awaiting):
    """The same without an `await`: nothing but the calls."""

    async def sell(self, command: Sell, emit: Emit) -> int:
        emit(Sold(command.number), Shipped(command.number))
        return command.number

    async def count(self, event: Sold) -> None:
        """Nothing at all."""

    async def ship(self, event: Shipped) -> None:
        """Nothing at all."""


def bus_of(handlers: Awaiting) -> AsyncMessageBus:
    return AsyncMessageBus({Sell: handlers.sell, Sold: [handlers.count], Shipped: [handlers.ship]})


async def directly(handlers: Awaiting) -> None:
    waiting: list[DomainEvent] = []

    def emit(*events: DomainEvent) -> None:
        waiting.extend(events)

    for number in range(ROUND):
        await handlers.sell(Sell(number), emit)
        for event in waiting:
            if isinstance(event, Sold):
                await handlers.count(event)
            elif isinstance(event, Shipped):
                await handlers.ship(event)
        waiting.clear()


async def through_bus(handlers: Awaiting) -> None:
    bus = bus_of(handlers)
    for number in range(ROUND):
        assert (await bus.handle(Sell(number))).first == number


async def with_unit_of_work(handlers: Awaiting) -> None:
    bus, uow = bus_of(handlers), AsyncFakeUnitOfWork()
    for number in range(ROUND):
        await bus.handle(Sell(number), uow)
    assert uow.commits == ROUND


async def growth() -> int:
    """Bytes: the peak of the second half of the commands over that of the first."""
    bus = bus_of(Bare())

    async def work(commands: int) -> int:
        tracemalloc.reset_peak()
        for number in range(commands):
            await bus.handle(Sell(number))
        return tracemalloc.get_traced_memory()[1]

    gc.collect()
    tracemalloc.start()
    try:
        first = await work(COMMANDS // 2)
        return await work(COMMANDS // 2) - first
    finally:
        tracemalloc.stop()


def seconds(work: Callable[[], Awaitable[None]]) -> float:
    async def run() -> float:
        begun = time.perf_counter()
        await work()
        return time.perf_counter() - begun

    gc.collect()
    return asyncio.run(run())


def main() -> None:
    awaiting, bare = Awaiting(), Bare()
    works: dict[str, Callable[[], Awaitable[None]]] = {
        "handlers with one await each, called directly": lambda: directly(awaiting),
        "the same through the bus": lambda: through_bus(awaiting),
        "the same with a unit of work each": lambda: with_unit_of_work(awaiting),
        "handlers that do nothing, called directly": lambda: directly(bare),
        "those through the bus": lambda: through_bus(bare),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            taken[name].append(seconds(work))

    print(f"{COMMANDS:,} commands with two events each, in {ROUNDS} rounds\n")
    print("| | µs/message | ratio |\n|---|--:|--:|")
    for name, times in taken.items():
        awaits = "await" in name or "the same" in name
        beside = next(iter(taken)) if awaits else list(taken)[3]
        each = median(times) / ROUND / MESSAGES * 1e6
        print(f"| {name} | {each:.2f} | {median(times) / median(taken[beside]):.1f} |")
    print(f"\npeak memory of the second half over the first: {asyncio.run(growth()):+,} bytes")


if __name__ == "__main__":
    main()
