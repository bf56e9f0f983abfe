"""A service that books into accounts and tells of it, its relay, and a service that books the same once more.

`python -m tests.faults.bookkeeping '<order as JSON>'`. What is true stands in the tables: `made` has what the first service
committed, `booked` what the second did about it. Bookings of one account are numbered without gaps, in the order of their
commits: an account's row is locked while one is made.
"""

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Column, Integer, MetaData, Table, event, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from events_core import Context, EventHandlerConsumer, IntegrationEvent, Registration, Topic, open_bus
from events_core.cli import main as events
from events_core.outbox import OutboxRelay, RelaySettings
from events_core.ports import Claim, Refused, Stored
from events_sqlalchemy import SqlAlchemyInbox, SqlAlchemyOutbox, SqlAlchemyOutboxStore, inbox_table, outbox_tables
from tests.faults.journal import Journal
from tests.faults.waiting import until
from tests.faults.worker import end_with_the_test

__all__ = ["ACCOUNTS", "BOOKED", "MADE", "METADATA", "TABLES", "Book", "Booking", "Make", "Relay", "topic_of"]

METADATA: Final = MetaData()
TABLES: Final = outbox_tables(METADATA)
INBOX: Final = inbox_table(METADATA)
ACCOUNTS: Final = Table(
    "accounts", METADATA, Column("account", Integer, primary_key=True), Column("bookings", Integer, nullable=False)
)
MADE: Final = Table(
    "made", METADATA, Column("account", Integer, primary_key=True), Column("number", Integer, primary_key=True)
)
BOOKED: Final = Table(
    "booked",
    METADATA,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("account", Integer, nullable=False),
    Column("number", Integer, nullable=False),
)

_PAUSE: Final = 0.1
_SOME: Final = 100
_log: Final = logging.getLogger("tests.faults")


class Booking(IntegrationEvent, key="account"):
    type = "faults.booking"
    version = 1
    account: int
    number: int


class Make(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make bookings until there are `total`."""

    database: str
    topics: Sequence[str]
    total: int
    accounts: int
    at_once: int = 4
    """How many transactions run beside each other."""
    a_transaction: int = 5
    """How many accounts each books into."""
    die: str = ""
    """In the middle of a transaction: "before" its commit or "after" it."""


class Relay(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Relay until SIGTERM; `events outbox relay`, unless it is to `die` between sending a batch and marking it."""

    database: str
    bus: str
    batch: int
    lease: float
    timeout: float
    die: bool = False


class Book(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Handle bookings until SIGTERM."""

    database: str
    bus: str
    topics: Sequence[str]
    journal: str


def topic_of(account: int, topics: Sequence[str]) -> Topic:
    """All bookings of an account go to one topic."""
    return Topic(topics[account % len(topics)])


async def make(order: Make) -> None:
    """Several transactions beside each other, and each again if the database failed."""
    async with _engine(order.database) as engine:
        sessions = async_sessionmaker(engine)
        async with sessions() as session:
            made = len((await session.execute(select(MADE.c.account))).all())
        turns = iter(range(made, order.total, order.a_transaction))
        await asyncio.gather(*(_make_on(order, sessions, turns) for _ in range(order.at_once)))


async def _make_on(order: Make, sessions: "async_sessionmaker[AsyncSession]", turns: Iterator[int]) -> None:
    for turn in turns:
        accounts = sorted(random.sample(range(order.accounts), min(order.a_transaction, order.total - turn)))
        while True:
            try:
                await _make_some(order, sessions, accounts)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("a transaction failed: %s", type(error).__name__)
                await asyncio.sleep(_PAUSE)
            else:
                break


async def _make_some(order: Make, sessions: "async_sessionmaker[AsyncSession]", accounts: Sequence[int]) -> None:
    async with sessions.begin() as session:
        outbox = SqlAlchemyOutbox(session, TABLES, source="making")
        for account in accounts:
            numbered = update(ACCOUNTS).where(ACCOUNTS.c.account == account).values(bookings=ACCOUNTS.c.bookings + 1)
            number = (await session.execute(numbered.returning(ACCOUNTS.c.bookings))).scalar_one()
            await session.execute(insert(MADE).values(account=account, number=number))
            outbox.put(topic_of(account, order.topics), Booking(account, number))
        if order.die and await _has_committed_some(session):
            # Listeners run in the order in which they came: the outbox has written its rows by then.
            moment = "before_commit" if order.die == "before" else "after_commit"
            event.listen(session.sync_session, moment, _die)


async def _has_committed_some(session: AsyncSession) -> bool:
    return len((await session.execute(select(MADE.c.account))).all()) > _SOME


def _die(session: Session) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def relay(order: Relay) -> None:
    """With a store that ends the process in the middle."""
    settings = RelaySettings(batch=order.batch, lease=order.lease, timeout=order.timeout)
    async with _engine(order.database) as engine, open_bus(order.bus, source="relay") as bus:
        await OutboxRelay(_Fatal(engine), bus, settings=settings).relay_due()


class _Fatal(SqlAlchemyOutboxStore):
    """Ends the process when its second batch was sent, and before that is written down."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine, TABLES)
        self._batches = 0

    @asynccontextmanager
    async def claim(self, limit: int, *, now: float, lease: float) -> AsyncGenerator[Claim]:
        self._batches += 1
        async with super().claim(limit, now=now, lease=lease) as claim:
            yield claim if self._batches == 1 else _Unsettled(claim.events)


class _Unsettled:
    def __init__(self, events: Sequence[Stored]) -> None:
        self.events = events

    async def settle(self, sent: Sequence[int], refused: Sequence[Refused], *, keep_at: float | None) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


async def book(order: Book) -> None:
    """Until SIGTERM."""
    async with _engine(order.database) as engine:
        sessions = async_sessionmaker(engine)
        journal, consumer = Journal(Path(order.journal)), EventHandlerConsumer("booking")

        @consumer.on(Booking)
        async def handle(event: Booking, context: Context) -> None:
            journal.write("handled", context.id)
            # A database that is away for a moment is waited for here: so many failures would end as dead letters.
            await until(lambda: _is_booked(event, context, sessions))

        registrations = [Registration(consumer, Topic(name), concurrency=10) for name in order.topics]
        bus = open_bus(order.bus, source="booking", registrations=registrations, connect="background")

        async def is_ready() -> bool:
            return (await bus.health()).ready

        async def tell() -> None:
            await until(is_ready)
            journal.write("ready")

        telling = asyncio.create_task(tell())
        await bus.run(deadline=10)
        telling.cancel()


async def _is_booked(event: Booking, context: Context, sessions: "async_sessionmaker[AsyncSession]") -> bool:
    try:
        async with sessions.begin() as session, SqlAlchemyInbox(session, INBOX).once(context):
            await session.execute(insert(BOOKED).values(account=event.account, number=event.number))
    except (SQLAlchemyError, OSError) as error:
        _log.warning("a booking failed: %s", type(error).__name__)
        return False
    return True


@asynccontextmanager
async def _engine(url: str) -> AsyncGenerator[AsyncEngine]:
    scheme, rest = url.split("://")
    driver = "aiosqlite" if scheme == "sqlite" else "asyncpg"
    async with AsyncExitStack() as stack:
        engine = create_async_engine(f"{scheme}+{driver}://{rest}", pool_size=20, pool_pre_ping=True)
        stack.push_async_callback(engine.dispose)
        yield engine


def _run(order: Make | Relay | Book) -> None:
    match order:
        case Make():
            asyncio.run(make(order))
        case Book():
            asyncio.run(book(order))
        case Relay(die=True):
            asyncio.run(relay(order))
        case Relay():
            options = [
                "--batch",
                str(order.batch),
                "--lease",
                str(order.lease),
                "--timeout",
                str(order.timeout),
                "--progress",
                "1",
            ]
            sys.exit(events(["outbox", "relay", "--database", order.database, "--bus", order.bus, *options]))


if __name__ == "__main__":
    end_with_the_test()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _run(msgspec.json.decode(sys.argv[1], type=Make | Relay | Book))
