"""What a handler does for an event happens once, however often the event comes."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import async_sessionmaker

from events_core.errors import AlreadyHandled, ConfigurationError
from events_core.ports import Received
from events_core.testing import ManualClock
from events_sqlalchemy import SqlAlchemyInbox, SqlAlchemyInboxStore
from tests.adapters.sqlalchemy.shop import INBOX, Database, Order

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Delivery:
    id: str
    consumer: str = "kitchen"
    handler: str = "cook"


async def handle(database: Database, delivery: Received, text: str = "tea") -> None:
    async with database.sessions.begin() as session, SqlAlchemyInbox(session, INBOX).once(delivery):
        session.add(Order(text=text))


async def orders(database: Database) -> list[str]:
    async with database.sessions() as session:
        return list(await session.scalars(select(Order.text).order_by(Order.id)))


async def until_somebody_waits(database: Database) -> None:
    """For a lock of somebody else's transaction."""
    blocked = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(5), database.engine.connect() as connection:
        while not (await connection.execute(blocked)).scalar_one():
            await connection.rollback()


async def test_the_second_delivery_of_an_event_has_no_effect(database: Database) -> None:
    await handle(database, Delivery("e"))
    with pytest.raises(AlreadyHandled, match="e"):
        await handle(database, Delivery("e"))
    assert await orders(database) == ["tea"]


async def test_another_event_handler_or_consumer_is_another_delivery(database: Database) -> None:
    for delivery in (Delivery("e"), Delivery("f"), Delivery("e", handler="wash"), Delivery("e", consumer="bar")):
        await handle(database, delivery)
    assert len(await orders(database)) == 4


async def test_an_effect_that_was_rolled_back_is_forgotten(database: Database) -> None:
    with suppress(LookupError):
        async with database.sessions.begin() as session, SqlAlchemyInbox(session, INBOX).once(Delivery("e")):
            session.add(Order(text="undone"))
            raise LookupError
    await handle(database, Delivery("e"))
    assert await orders(database) == ["tea"]


async def test_two_processes_with_one_delivery_have_one_effect(database: Database) -> None:
    results = await asyncio.gather(*(handle(database, Delivery("e")) for _ in range(5)), return_exceptions=True)
    assert await orders(database) == ["tea"]
    assert [result for result in results if result is None] == [None]
    assert all(isinstance(result, AlreadyHandled | DBAPIError) for result in results if result is not None)


@pytest.mark.parametrize("database", ["asyncpg", "psycopg"], indirect=True)
@pytest.mark.broker("postgresql")
async def test_the_second_process_handles_it_when_the_first_rolls_back(database: Database) -> None:
    async with database.sessions() as first:
        async with SqlAlchemyInbox(first, INBOX).once(Delivery("e")):
            first.add(Order(text="undone"))
        second = asyncio.create_task(handle(database, Delivery("e")))
        await until_somebody_waits(database)
        await first.rollback()
        await second
    assert await orders(database) == ["tea"]


async def test_a_handler_that_guards_itself_twice_in_one_transaction_is_refused(database: Database) -> None:
    async def handle_twice() -> None:
        async with database.sessions.begin() as session:
            for _ in range(2):
                async with SqlAlchemyInbox(session, INBOX).once(Delivery("e")):
                    session.add(Order(text="undone"))

    for _ in range(2):
        with pytest.raises(ConfigurationError, match="twice"):
            await handle_twice()
    await handle(database, Delivery("e"))
    assert await orders(database) == ["tea"]


async def test_a_session_that_goes_on_tells_its_next_transaction_that_it_was_handled(database: Database) -> None:
    async with database.sessions() as session:
        async with SqlAlchemyInbox(session, INBOX).once(Delivery("e")):
            await session.commit()
        with pytest.raises(AlreadyHandled):
            await SqlAlchemyInbox(session, INBOX).once(Delivery("e")).__aenter__()


@pytest.mark.parametrize("where", ["engine", "connection", "create_engine"])
async def test_an_inbox_that_no_transaction_guards_is_refused(database: Database, where: str) -> None:
    engine = database.engine
    if where == "create_engine":
        engine = database.new_engine(isolation_level="AUTOCOMMIT")
    elif where == "engine":
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with async_sessionmaker(engine)() as session:
        if where == "connection":
            _ = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            await SqlAlchemyInbox(session, INBOX).once(Delivery("e")).__aenter__()
    await handle(database, Delivery("e"))


async def test_an_error_of_the_inbox_names_no_event(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(INBOX.drop)
    with pytest.raises(DBAPIError) as caught:
        await handle(database, Delivery("a secret"))
    assert "secret" not in str(caught.value)


async def test_a_synchronous_session_takes_the_same_inbox(database: Database) -> None:
    for attempt in range(2):
        try:
            with database.sync_sessions.begin() as session, SqlAlchemyInbox(session, INBOX).once(Delivery("e")):
                session.add(Order(text="tea"))
        except AlreadyHandled:
            assert attempt == 1
    assert await orders(database) == ["tea"]


async def test_the_wrong_kind_of_with_is_refused(database: Database) -> None:
    async with database.sessions() as session:
        with pytest.raises(ConfigurationError, match="async with"), SqlAlchemyInbox(session, INBOX).once(Delivery("e")):
            pass
    with database.sync_sessions() as session, pytest.raises(ConfigurationError, match="use `with`"):
        async with SqlAlchemyInbox(session, INBOX).once(Delivery("e")):
            pass


async def test_what_was_handled_long_ago_is_forgotten_and_the_rest_is_not(database: Database) -> None:
    clock = ManualClock()
    store = SqlAlchemyInboxStore(database.engine, INBOX)
    for event in ("old", "new"):
        async with (
            database.sessions.begin() as session,
            SqlAlchemyInbox(session, INBOX, clock=clock).once(Delivery(event)),
        ):
            pass
        await clock.advance(60)
    assert await store.purge(clock.time() - 90, 10) == 1
    await handle(database, Delivery("old"))
    with pytest.raises(AlreadyHandled):
        await handle(database, Delivery("new"))
