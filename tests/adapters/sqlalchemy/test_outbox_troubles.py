"""When something goes wrong in a session, its events share the fate of what they are about."""

import logging
from contextlib import suppress
from typing import cast

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import Session

from events_core.errors import AlreadyHandled, ConfigurationError
from events_sqlalchemy import SqlAlchemyInbox, SqlAlchemyOutbox
from events_sqlalchemy.writing import SessionWriter
from tests.adapters.sqlalchemy.shop import INBOX, ORDERS, TABLES, Database, Order, OrderPlaced, outbox_of
from tests.adapters.sqlalchemy.test_inbox import Delivery, orders

pytestmark = pytest.mark.anyio


async def test_an_outbox_made_in_a_savepoint_loses_its_events_with_it(database: Database) -> None:
    async with database.sessions.begin() as session:
        session.add(Order(text="tea"))
        with suppress(LookupError):
            async with session.begin_nested(), session.begin_nested():
                outbox_of(session).put(ORDERS, OrderPlaced("undone"))
                raise LookupError
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
    assert await database.waiting() == ["tea"]


async def test_an_event_vanishes_with_the_savepoint_whose_flush_failed(database: Database) -> None:
    async with database.sessions() as session:
        outbox = outbox_of(session)
        session.add(Order(id=1, text="tea"))
        outbox.put(ORDERS, OrderPlaced("tea"))
        await session.flush()
        with suppress(IntegrityError):
            async with session.begin_nested():
                async with session.begin_nested():
                    outbox.put(ORDERS, OrderPlaced("undone with its parent"))
                session.add(Order(id=1, text="it is there already"))
                outbox.put(ORDERS, OrderPlaced("undone"))
                await session.flush()
        async with session.begin_nested():
            outbox.put(ORDERS, OrderPlaced("kept"))
        await session.commit()
    assert await database.waiting() == ["tea", "kept"]


async def test_a_commit_that_could_not_write_its_events_commits_nothing_when_it_is_tried_again(
    database: Database,
) -> None:
    async with database.sessions() as session:
        session.add(Order(text="tea"))
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        await rename(database, "events_outbox", "away")
        with pytest.raises(DBAPIError):
            await session.commit()
        with pytest.raises(PendingRollbackError, match="roll back"):
            await session.commit()
        await session.rollback()
        await rename(database, "away", "events_outbox")
        assert await orders(database) == []
        session.add(Order(text="coffee"))
        outbox_of(session).put(ORDERS, OrderPlaced("coffee"))
        await session.commit()
    assert await orders(database) == ["coffee"]
    assert await database.waiting() == ["coffee"]


async def test_an_error_of_the_outbox_shows_no_event(database: Database) -> None:
    await rename(database, "events_outbox", "away")
    with pytest.raises(DBAPIError) as caught:
        await database.put("a secret")
    assert "secret" not in str(caught.value)


async def rename(database: Database, table: str, name: str) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


async def test_nobody_is_told_of_a_commit_without_events(database: Database) -> None:
    told: list[str] = []
    async with database.sessions() as session:
        outbox = SqlAlchemyOutbox(session, TABLES, source="shop", committed=lambda: told.append("now"))
        session.add(Order(text="tea"))
        await session.commit()
        assert told == []
        outbox.put(ORDERS, OrderPlaced("tea"))
        await session.commit()
        assert told == ["now"]


async def test_a_commit_is_one_although_he_who_is_told_of_it_fails(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LookupError

    async with database.sessions() as session:
        outbox = SqlAlchemyOutbox(session, TABLES, source="shop", committed=fail)
        for each in ("tea", "coffee"):
            outbox.put(ORDERS, OrderPlaced(each))
            await session.commit()
    assert await database.waiting() == ["tea", "coffee"]
    assert "committed" in caplog.text


async def test_an_outbox_without_transactions_is_refused(database: Database) -> None:
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with async_sessionmaker(engine)() as session:
        with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            outbox_of(session).put(ORDERS, OrderPlaced("tea"))


async def test_a_connection_without_transactions_is_refused_when_it_commits(database: Database) -> None:
    async with database.sessions() as session:
        _ = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            await session.commit()


async def test_events_that_are_dropped_although_their_state_may_be_kept_are_told_of(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.sync_engine.begin() as connection, Session(connection) as session:
        session.add(Order(text="tea"))
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        session.flush()
    assert "1 event was dropped" in caplog.text
    assert "session.commit()" in caplog.text


async def test_events_that_are_dropped_with_their_state_are_not_worth_a_word(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "events_core")
    with database.sync_engine.connect() as connection:
        for mode in ("conditional_savepoint", "create_savepoint"):
            with connection.begin(), Session(connection, join_transaction_mode=mode) as session:
                session.add(Order(text="tea"))
                outbox_of(session).put(ORDERS, OrderPlaced("tea"))
                session.flush()
                session.rollback()
    with database.sync_sessions() as session:
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        session.add(Order(text="tea"))
        session.flush()
    assert caplog.text == ""


async def test_savepoints_that_were_released_are_forgotten(database: Database) -> None:
    with database.sync_sessions.begin() as session:
        outbox_of(session)
        for _ in range(100):
            with session.begin_nested():
                session.execute(select(func.count()).select_from(Order))
        writer = SessionWriter.of(session, TABLES)
        assert len(cast("dict[object, int]", vars(writer)["_savepoints"])) < 10


@pytest.mark.broker("postgresql")
@pytest.mark.parametrize("database", ["asyncpg", "psycopg"], indirect=True)
@pytest.mark.parametrize("events", [1, 2])
async def test_a_service_needs_no_more_rights_than_it_is_told(database: Database, events: int) -> None:
    role = f"{database.url.rpartition('/')[2]}_{events}"
    async with database.engine.begin() as connection:
        for statement in (
            f"CREATE ROLE {role}",
            f"GRANT INSERT ON events_outbox TO {role}",
            f"GRANT USAGE ON SEQUENCE events_outbox_position_seq TO {role}",
            f"GRANT INSERT, SELECT ON events_inbox TO {role}",
        ):
            await connection.execute(text(statement))
    async with database.sessions.begin() as session:
        await session.execute(text(f"SET LOCAL ROLE {role}"))
        async with SqlAlchemyInbox(session, INBOX).once(Delivery("e")):
            for number in range(events):
                outbox_of(session).put(ORDERS, OrderPlaced(f"{number}"))
    assert len(await database.waiting()) == events
    async with database.sessions.begin() as session:
        await session.execute(text(f"SET LOCAL ROLE {role}"))
        with pytest.raises(AlreadyHandled):
            await SqlAlchemyInbox(session, INBOX).once(Delivery("e")).__aenter__()
