"""Everything at once: 20,000 events, and ten kills of everything there is."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from operator import attrgetter
from pathlib import Path

import pytest

from brokers import PostgreSQL, RabbitMQ
from tests.faults.ledger import Counts, Ledger
from tests.faults.processes import Worker
from tests.faults.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq"), pytest.mark.broker("postgresql")]

EVENTS = 20_000
A_TRANSACTION = 10
TOPICS = 4
PATIENCE = 400.0
"""Seconds; on a quiet machine it takes a minute."""


@pytest.fixture
async def ledger(
    fresh_postgresql: PostgreSQL, fresh_rabbitmq: RabbitMQ, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Ledger]:
    database = fresh_postgresql.new_database(f"books_{os.urandom(6).hex()}")
    ledger = Ledger(database, fresh_rabbitmq, tmp_path, request.node.name, topics=TOPICS)
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


class Supervised:
    """Processes that are started again when they end otherwise than well."""

    def __init__(self, ledger: Ledger) -> None:
        self._start: dict[str, Callable[[], Worker]] = {
            "service": lambda: ledger.make(EVENTS, a_transaction=A_TRANSACTION),
            "relay": lambda: ledger.relay(batch=300),
            "second relay": lambda: ledger.relay(batch=300),
            "consumer": ledger.book,
            "second consumer": ledger.book,
        }
        self._running = {name: start() for name, start in self._start.items()}

    def kill(self, name: str) -> None:
        """SIGKILL one."""
        self._running[name].kill()

    async def until_made(self, *, within: float) -> None:
        """Return when the service has made everything, and ended."""

        def has_made_all() -> bool:
            service = self._running["service"]
            return not service.running and not service.failed

        await until(has_made_all, within=within, hope=lambda: "every booking is made")

    async def supervise(self) -> None:
        """Until cancelled."""

        def restart() -> bool:
            for name, worker in self._running.items():
                if worker.failed:
                    self._running[name] = self._start[name]()
            return False

        await until(restart)


class Kills:
    """Ten of them, each at a moment of its own: when so many events are made, relayed or booked."""

    def __init__(self, ledger: Ledger, processes: Supervised, database: PostgreSQL, broker: RabbitMQ) -> None:
        self._ledger = ledger
        self._processes = processes
        self._database = database
        self._broker = broker

    async def strike(self) -> None:
        """Return when all have struck."""
        made, relayed, booked = attrgetter("made"), attrgetter("relayed"), attrgetter("booked")
        await asyncio.gather(
            self._when(made, partial(self._kill, "service")),
            self._when(made, partial(self._kill, "service")),
            self._when(relayed, partial(self._kill, "relay")),
            self._when(relayed, partial(self._kill, "relay")),
            self._when(relayed, partial(self._kill, "second relay")),
            self._when(booked, partial(self._kill, "consumer")),
            self._when(booked, partial(self._kill, "second consumer")),
            self._when(relayed, self._cut_connections),
            self._when(made, partial(self._restart, self._database)),
            self._when(relayed, partial(self._restart, self._broker)),
        )

    async def _when(self, progress: Callable[[Counts], int], kill: Callable[[], Awaitable[None]]) -> None:
        moment = self._ledger.random.randrange(EVENTS // 10, EVENTS * 8 // 10)

        async def has_come() -> bool:
            return progress(await self._ledger.counts()) >= moment

        await until(has_come, within=PATIENCE, hope=lambda: f"{moment} events, to kill something")
        await kill()

    async def _kill(self, name: str) -> None:
        self._processes.kill(name)

    async def _cut_connections(self) -> None:
        every = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'books%'"
        await asyncio.to_thread(self._database.query, every)

    async def _restart(self, server: PostgreSQL | RabbitMQ) -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


async def test_every_commit_arrives_in_order_and_has_its_effect_once_whatever_is_killed(
    ledger: Ledger, fresh_postgresql: PostgreSQL, fresh_rabbitmq: RabbitMQ
) -> None:
    (await ledger.subscribed()).terminate()
    processes = Supervised(ledger)
    supervising = asyncio.create_task(processes.supervise())
    try:
        await Kills(ledger, processes, fresh_postgresql, fresh_rabbitmq).strike()
        await processes.until_made(within=PATIENCE)
        accounts = await ledger.settled(within=PATIENCE)
    finally:
        supervising.cancel()
    assert accounts.made.total() >= EVENTS
