"""What a fault test of the outbox has at hand: two services, a relay or more, a broker and a database."""

import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from brokers import Broker
from events_core import EventHandlerConsumer, Registration, Topic, open_bus
from events_core.ports import Backlog
from events_sqlalchemy import SqlAlchemyOutboxStore
from tests.faults.bookkeeping import ACCOUNTS, BOOKED, MADE, METADATA, TABLES, Book, Booking, Make, Relay
from tests.faults.journal import Journal
from tests.faults.processes import Worker
from tests.faults.rabbitmq import hurried
from tests.faults.waiting import until

__all__ = ["PATIENCE", "Accounts", "Counts", "Ledger"]

PATIENCE: Final = 60.0
"""Seconds; more than is needed on a machine with something else to do."""
_PROGRAM: Final = "tests.faults.bookkeeping"
_ACCOUNTS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What the tables say."""

    made: Counter[tuple[int, int]]
    booked: Counter[tuple[int, int]]
    deliveries: int

    @property
    def are_equal(self) -> bool:
        """Every commit has its effect, once; and nothing else has."""
        return self.made == self.booked

    def __str__(self) -> str:
        lost, invented = self.made - self.booked, self.booked - self.made
        duplicates = self.deliveries - self.booked.total()
        return (
            f"committed={self.made.total()} effects={self.booked.total()} lost={lost.total()} "
            f"twice={invented.total()} redelivered={duplicates}"
        )


class Counts(NamedTuple):
    """How far everything is."""

    made: int
    booked: int
    waiting: int

    @property
    def relayed(self) -> int:
        """As far as the outbox knows."""
        return self.made - self.waiting


class Arrivals:
    """What came to the broker, account by account."""

    def __init__(self, expected: Counter[tuple[int, int]]) -> None:
        self._missing = set(expected)
        self._last: dict[int, int] = defaultdict(int)
        self.copies = 0
        self.out_of_order: list[str] = []

    @property
    def complete(self) -> bool:
        """Whether everything has come."""
        return not self._missing

    async def add(self, event: Booking) -> None:
        """One came. A copy of an earlier one is in order."""
        self._missing.discard((event.account, event.number))
        last = self._last[event.account]
        if event.number <= last:
            self.copies += 1
            return
        if event.number > last + 1:
            self.out_of_order.append(f"account {event.account}: {event.number} after {last}")
        self._last[event.account] = event.number


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
        self._counts = Counts(0, 0, 0)
        self._began = time.monotonic()

    async def open(self) -> None:
        """Make the tables, and the subscriptions of the second service."""
        async with self.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            accounts = [{"account": number, "bookings": 0} for number in range(_ACCOUNTS)]
            await connection.execute(insert(ACCOUNTS), accounts)
        async with open_bus(self._bus, source="faults") as bus:
            for registration in self._auditing(Arrivals(Counter()).add):
                await bus.register(registration)

    async def close(self) -> None:
        """Leave nothing behind."""
        for worker in self._workers:
            worker.close()
        async with open_bus(self._bus, source="faults") as bus:
            for name in self.topics:
                for consumer in ("booking", "auditing"):
                    await bus.delete_subscription(consumer, Topic(name), force=True)
        await self.engine.dispose()
        self.journal.close()

    def make(self, total: int, *, a_transaction: int = 5, die: str = "") -> Worker:
        """The first service: it commits so many bookings, and ends."""
        return self._start(
            Make(
                database=self.database,
                topics=self.topics,
                total=total,
                accounts=_ACCOUNTS,
                a_transaction=a_transaction,
                die=die,
            )
        )

    def relay(self, *, batch: int = 1_000, lease: float = 4.0, timeout: float = 2.0, die: bool = False) -> Worker:
        """`events outbox relay`."""
        return self._start(
            Relay(database=self.database, bus=self._bus, batch=batch, lease=lease, timeout=timeout, die=die)
        )

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

    async def counts(self) -> Counts:
        """How far everything is; what it was before where the database does not answer."""
        tables = {"made": MADE, "booked": BOOKED, "waiting": TABLES.outbox}
        every = [
            select(func.count()).select_from(table).scalar_subquery().label(name) for name, table in tables.items()
        ]
        with suppress(SQLAlchemyError, OSError):
            async with self.engine.connect() as connection:
                row = (await connection.execute(select(*every))).one()
            self._counts = Counts(row.made, row.booked, row.waiting)
        return self._counts

    async def until_relayed(self, number: int) -> None:
        """Return when so many bookings have left the outbox, as far as it knows."""

        async def have_left() -> bool:
            return (await self.counts()).relayed >= number

        await until(have_left, within=PATIENCE, hope=lambda: f"{number} bookings are relayed")

    async def until_waiting(self, number: int) -> None:
        """Return when so many wait in the outbox."""

        async def wait() -> bool:
            return (await self.counts()).waiting >= number

        await until(wait, within=PATIENCE, hope=lambda: f"{number} bookings wait")

    async def until_booked(self, number: int) -> None:
        """Return when so many have had their effect."""

        async def are_booked() -> bool:
            return (await self.counts()).booked >= number

        await until(are_booked, within=PATIENCE, hope=lambda: f"{number} bookings have their effect")

    async def settled(self, *, within: float = PATIENCE) -> Accounts:
        """The accounts, when every commit has its effect and the outbox is empty; printed, to be counted.

        To be asked for when nobody makes bookings any more.
        """

        async def all_is_booked() -> bool:
            counts = await self.counts()
            return counts.waiting == 0 and counts.booked >= counts.made

        try:
            await until(all_is_booked, within=within, hope=lambda: "every commit has its effect")
        finally:
            accounts = await self.accounts()
            seconds = time.monotonic() - self._began
            sys.stdout.write(f"faults: {self._name} seed={self.seed} {accounts} seconds={seconds:.1f}\n")
        assert accounts.are_equal
        assert (await self.arrivals(within=within)).out_of_order == []
        return accounts

    async def accounts(self) -> Accounts:
        """What the tables say now."""
        async with self.engine.connect() as connection:
            made = (await connection.execute(select(MADE.c.account, MADE.c.number))).all()
            booked = (await connection.execute(select(BOOKED.c.account, BOOKED.c.number))).all()
        return Accounts(
            made=Counter((account, number) for account, number in made),
            booked=Counter((account, number) for account, number in booked),
            deliveries=len(self.journal.of("handled")),
        )

    async def arrivals(self, *, within: float) -> "Arrivals":
        """Everything in the order in which it came to the broker, copies included."""
        made = (await self.accounts()).made
        arrivals = Arrivals(made)
        async with open_bus(self._bus, source="faults") as bus:
            for registration in self._auditing(arrivals.add):
                await bus.register(registration)
            await until(lambda: arrivals.complete, within=within, hope=lambda: "everything is in the audit")
        return arrivals

    def _auditing(self, handle: Callable[[Booking], Awaitable[None]]) -> list[Registration]:
        # One at a time, and nobody is killed who reads it: so it is read in the order in which it is stored.
        consumer = EventHandlerConsumer("auditing", {Booking: [handle]})
        return [Registration(consumer, Topic(name), concurrency=1) for name in self.topics]

    def _start(self, order: msgspec.Struct) -> Worker:
        worker = Worker(order, self._folder / f"worker-{len(self._workers)}", program=_PROGRAM)
        self._workers.append(worker)
        return worker
