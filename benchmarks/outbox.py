"""The outbox on PostgreSQL beside plain sends of the same events to RabbitMQ.

Run it on a quiet machine: `python -m benchmarks.outbox`. It starts a PostgreSQL and a RabbitMQ of its own on this machine,
both as durable as they are in production (fsync on, a quorum queue), which share the cores with it. Each round measures
every variant once, one after the other; the medians are shown. Events have one of 5,000 keys each.
"""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sqlalchemy import MetaData, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from brokers import open_broker
from events_core import EventHandlerConsumer, IntegrationEvent, IntegrationEventBus, Registration, Topic
from events_core.outbox import OutboxRelay
from events_rabbitmq import RabbitMQEventBus
from events_sqlalchemy import OutboxTables, SqlAlchemyOutbox, SqlAlchemyOutboxStore, outbox_tables

ROUNDS: Final = 5
EVENTS: Final = 20_000
KEYS: Final = 5_000
IN_FLIGHT: Final = 1_000
A_TRANSACTION: Final = 10
TOPIC: Final = Topic("benchmark")
TEXT: Final = "x" * 200


class Measured(IntegrationEvent, key="account"):
    type = "benchmark.outbox.measured"
    version = 1
    account: int
    text: str


@dataclass(slots=True)
class Cost:
    """Of one variant, round by round: events a second, processor microseconds each, statements for a thousand of them."""

    rates: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    statements: list[float] = field(default_factory=list[float])


class Counter:
    """Counts the statements of an engine; transactions begin and end without one of these."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.statements = 0
        event.listen(engine.sync_engine, "before_cursor_execute", self._count)
        event.listen(engine.sync_engine, "begin", self._count)
        event.listen(engine.sync_engine, "commit", self._count)
        event.listen(engine.sync_engine, "rollback", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1


class Scene:
    """A database, a bus, and what they cost."""

    def __init__(self, database: str, bus: IntegrationEventBus) -> None:
        metadata = MetaData()
        self._tables: OutboxTables = outbox_tables(metadata)
        self._metadata = metadata
        self._engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://"))
        self._counter = Counter(self._engine)
        self._bus = bus
        self.costs: dict[str, Cost] = {}

    async def prepare(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(self._metadata.create_all)

    async def measure(self, name: str, work: Awaitable[object]) -> None:
        statements, began, cpu = self._counter.statements, time.perf_counter(), time.process_time()
        await work
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        cost = self.costs.setdefault(name, Cost())
        cost.rates.append(EVENTS / seconds)
        cost.cpu.append(cpu / EVENTS * 1e6)
        cost.statements.append((self._counter.statements - statements) / EVENTS * 1_000)

    async def send(self) -> None:
        async def some(first: int) -> None:
            for number in range(first, EVENTS, IN_FLIGHT):
                await self._bus.send(TOPIC, Measured(number % KEYS, TEXT))

        await asyncio.gather(*(some(first) for first in range(IN_FLIGHT)))

    async def put(self) -> None:
        async with AsyncSession(self._engine) as session:
            for first in range(0, EVENTS, A_TRANSACTION):
                outbox = SqlAlchemyOutbox(session, self._tables, source="benchmark")
                for number in range(first, first + A_TRANSACTION):
                    outbox.put(TOPIC, Measured(number % KEYS, TEXT))
                await session.commit()

    async def relay(self, relays: int) -> None:
        store = SqlAlchemyOutboxStore(self._engine, self._tables)
        counts = await asyncio.gather(*(OutboxRelay(store, self._bus).relay_due() for _ in range(relays)))
        while sum(counts) < EVENTS:
            # A relay that found every key taken by the other thought that it was done.
            counts.append(await OutboxRelay(store, self._bus).relay_due())
        assert sum(counts) == EVENTS

    async def close(self) -> None:
        await self._engine.dispose()


class Arrivals:
    """Counts what arrived: without it the figures are worth nothing."""

    def __init__(self, expected: int) -> None:
        self._left = expected
        self._all = asyncio.Event()
        consumer = EventHandlerConsumer("counting", {Measured: [self.count]})
        self.registration = Registration(consumer, TOPIC, concurrency=100)

    async def count(self, event: Measured) -> None:
        self._left -= 1
        if not self._left:
            self._all.set()

    async def all(self) -> None:
        await self._all.wait()


async def measure(database: str, broker: str) -> None:
    arrivals = Arrivals(ROUNDS * 3 * EVENTS)
    async with RabbitMQEventBus(broker, source="benchmark") as bus:
        await bus.register(arrivals.registration)
        await bus.unregister(arrivals.registration)
        scene = Scene(database, bus)
        await scene.prepare()
        for _ in range(ROUNDS):
            await scene.measure("plain sends, 1,000 in flight", scene.send())
            await scene.measure("put, 10 a transaction", scene.put())
            await scene.measure("relayed by one relay", scene.relay(1))
            await scene.put()
            await scene.measure("relayed by two relays", scene.relay(2))
        await scene.close()
        await bus.register(arrivals.registration)
        await arrivals.all()
    print(f"PostgreSQL to RabbitMQ, {EVENTS:,} events of 250 bytes, {KEYS:,} keys; medians of {ROUNDS} rounds")
    print(f"{'':32} {'events/s':>10} {'CPU µs':>8} {'statements per 1,000 events':>28}")
    for name, cost in scene.costs.items():
        figures = f"{median(cost.rates):10,.0f} {median(cost.cpu):8.1f} {median(cost.statements):28.1f}"
        print(f"  {name:30} {figures}")


def main() -> None:
    with open_broker("postgresql") as database, open_broker("rabbitmq") as broker:
        asyncio.run(measure(database.url, broker.url))


if __name__ == "__main__":
    main()
