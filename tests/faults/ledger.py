"""What a fault test of the outbox has at hand: two services, a relay or more, a broker and a database."""

import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from brokers import Broker
from events_core import Topic, open_bus
from events_core.ports import Backlog
from events_sqlalchemy import SqlAlchemyOutboxStore
from tests.faults.bookkeeping import ACCOUNTS, BOOKED, MADE, METADATA, TABLES, Book, Make, Relay
from tests.faults.journal import Journal
from tests.faults.processes import Worker
from tests.faults.rabbitmq import hurried
from tests.faults.waiting import until

__all__ = ["PATIENCE", "Accounts", "Ledger"]

PATIENCE: Final = 30.0
_PROGRAM: Final = "tests.faults.bookkeeping"
_ACCOUNTS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What the tables say."""

    made: Counter[tuple[int, int]]
    booked: Counter[tuple[int, int]]
    out_of_order: Sequence[str]
    deliveries: int

    @property
    def are_equal(self) -> bool:
        """Every commit has its effect, once, in order; and nothing else has."""
        return self.made == self.booked and not self.out_of_order

    def __str__(self) -> str:
        lost, invented = self.made - self.booked, self.booked - self.made
        duplicates = self.deliveries - self.booked.total()
        return (
            f"committed={self.made.total()} effects={self.booked.total()} lost={lost.total()} "
            f"twice={invented.total()} disordered={len(self.out_of_order)} redelivered={duplicates}"
        )


class Ledger:
    """The processes around one database and one broker."""

    def __init__(self, database: str, broker: Broker, folder: Path, name: str, *, topics: int = 1) -> None:
        self.seed = int(os.environ.get("FAULTS_SEED", "1"))
        self.random = random.Random(f"{self.seed} {name}")
        token = f"{self.random.randbytes(3).hex()}-{time.time_ns():x}"
        self.topics = [f"bookings-{token}-{number}" for number in range(topics)]
        self.database = database
        self.journal = Journal(folder / "journal")
        self._bus = hurried(broker.url)
        self._folder = folder
        self._name = name
        self._workers: list[Worker] = []
        scheme, rest = database.split("://")
        driver = "aiosqlite" if scheme == "sqlite" else "asyncpg"
        self.engine = create_async_engine(f"{scheme}+{driver}://{rest}", pool_pre_ping=True)
        self.store = SqlAlchemyOutboxStore(self.engine, TABLES)
        self._began = time.monotonic()

    async def open(self) -> None:
        """Make the tables, and the subscriptions of the second service."""
        async with self.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            accounts = [{"account": number, "bookings": 0} for number in range(_ACCOUNTS)]
            await connection.execute(insert(ACCOUNTS), accounts)

    async def close(self) -> None:
        """Leave nothing behind."""
        for worker in self._workers:
            worker.close()
        async with open_bus(self._bus, source="faults") as bus:
            for name in self.topics:
                await bus.delete_subscription("booking", Topic(name), force=True)
        await self.engine.dispose()
        self.journal.close()

    def make(self, total: int, *, die: str = "") -> Worker:
        """The first service: it commits so many bookings, and ends."""
        return self._start(Make(database=self.database, topics=self.topics, total=total, accounts=_ACCOUNTS, die=die))

    def relay(self, *, batch: int = 1_000, die: bool = False) -> Worker:
        """`events outbox relay`."""
        return self._start(Relay(database=self.database, bus=self._bus, batch=batch, die=die))

    def book(self) -> Worker:
        """The second service."""
        return self._start(
            Book(database=self.database, bus=self._bus, topics=self.topics, journal=str(self.journal.path))
        )

    async def subscribed(self) -> Worker:
        """The second service, when it has its subscriptions."""
        worker = self.book()

        async def is_ready() -> bool:
            assert worker.running, worker.log.read_text()
            return bool(self.journal.of("ready", process=worker.pid))

        await until(is_ready, within=PATIENCE, hope=lambda: "the consumer subscribes")
        return worker

    async def backlog(self) -> Backlog:
        """Of the outbox."""
        return await self.store.backlog(time.time())

    async def until_relayed(self, number: int) -> None:
        """Return when so many bookings have left the outbox, as far as it knows."""

        async def have_left() -> bool:
            made = (await self.accounts()).made.total()
            return made - (await self.backlog()).waiting >= number

        await until(have_left, within=PATIENCE, hope=lambda: f"{number} bookings are relayed")

    async def until_waiting(self, number: int) -> None:
        """Return when so many wait in the outbox."""

        async def wait() -> bool:
            return (await self.backlog()).waiting >= number

        await until(wait, within=PATIENCE, hope=lambda: f"{number} bookings wait")

    async def until_booked(self, number: int) -> None:
        """Return when so many have had their effect."""

        async def are_booked() -> bool:
            return (await self.accounts()).booked.total() >= number

        await until(are_booked, within=PATIENCE, hope=lambda: f"{number} bookings have their effect")

    async def settled(self, *, within: float = PATIENCE) -> Accounts:
        """The accounts, when every commit has its effect and the outbox is empty; printed, to be counted."""

        async def all_is_booked() -> bool:
            try:
                accounts, backlog = await self.accounts(), await self.backlog()
            except (SQLAlchemyError, OSError):
                return False
            return backlog.waiting == 0 and not accounts.made - accounts.booked

        try:
            await until(all_is_booked, within=within, hope=lambda: "every commit has its effect")
        finally:
            accounts = await self.accounts()
            seconds = time.monotonic() - self._began
            sys.stdout.write(f"faults: {self._name} seed={self.seed} {accounts} seconds={seconds:.1f}\n")
        assert accounts.are_equal, accounts.out_of_order
        return accounts

    async def accounts(self) -> Accounts:
        """What the tables say now."""
        async with self.engine.connect() as connection:
            made = (await connection.execute(select(MADE.c.account, MADE.c.number))).all()
            ordered = select(BOOKED.c.account, BOOKED.c.number).order_by(BOOKED.c.position)
            booked = (await connection.execute(ordered)).all()
        last: dict[int, int] = defaultdict(int)
        disordered: list[str] = []
        for account, number in booked:
            if number != last[account] + 1:
                disordered.append(f"{account}: {number} after {last[account]}")
            last[account] = number
        return Accounts(
            made=Counter((account, number) for account, number in made),
            booked=Counter((account, number) for account, number in booked),
            out_of_order=disordered,
            deliveries=len(self.journal.of("handled")),
        )

    def _start(self, order: msgspec.Struct) -> Worker:
        worker = Worker(order, self._folder / f"worker-{len(self._workers)}", program=_PROGRAM)
        self._workers.append(worker)
        return worker
