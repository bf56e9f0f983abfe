"""Relays keep out of each other's way by the table itself, and one bad row holds up nobody."""

import asyncio
import time

import pytest
from sqlalchemy import MetaData, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from events_core import InMemoryEventBus
from events_core.outbox import OutboxRelay, RelaySettings
from events_core.ports import Refused
from events_sqlalchemy import SqlAlchemyOutboxStore, outbox_tables
from tests.adapters.sqlalchemy.shop import ORDERS, TABLES, Database, OrderPlaced, outbox_of, texts

pytestmark = pytest.mark.anyio

LATER = 2e9
on_postgresql = pytest.mark.parametrize(
    "database", [pytest.param("asyncpg", marks=pytest.mark.broker("postgresql"))], indirect=True
)
on_sqlite = pytest.mark.parametrize("database", ["aiosqlite"], indirect=True)


@on_postgresql
async def test_a_table_that_is_named_with_its_schema_is_the_same_table(database: Database) -> None:
    await database.put("a", key="k")
    other = SqlAlchemyOutboxStore(database.new_engine(), outbox_tables(MetaData(), schema="public"))
    async with database.store.claim(10, now=LATER, lease=60) as one, other.claim(10, now=LATER, lease=60) as two:
        assert (texts(one.events), texts(two.events)) == (["a"], [])


@pytest.mark.parametrize("way", ["search path", "schema_translate_map"])
@pytest.mark.parametrize("database", [pytest.param("asyncpg", marks=pytest.mark.broker("postgresql"))], indirect=True)
async def test_tables_of_one_name_in_two_schemas_are_claimed_apart(database: Database, way: str) -> None:
    await database.put("ours", key="k")
    async with database.engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA tenant"))
        await connection.execute(text("CREATE TABLE tenant.events_outbox AS SELECT * FROM events_outbox"))
    engine = database.new_engine()
    if way == "schema_translate_map":
        tenants = engine.execution_options(schema_translate_map={None: "tenant"})
    else:
        arguments = {"server_settings": {"search_path": "tenant"}}
        tenants = create_async_engine(engine.url, connect_args=arguments)
        database.engines.append(tenants)
    other = SqlAlchemyOutboxStore(tenants, TABLES)
    async with database.store.claim(10, now=LATER, lease=60) as one, other.claim(10, now=LATER, lease=60) as two:
        assert (texts(one.events), texts(two.events)) == (["ours"], ["ours"])


async def test_an_error_with_letters_that_no_database_takes_is_written_down(database: Database) -> None:
    await database.put("good", "bad")
    async with database.store.claim(10, now=LATER, lease=60) as claim:
        good, bad = claim.events
        await claim.settle([good.position], [Refused(bad.position, "NUL \0 half \ud800", 6, None)], keep_at=None)
    ((_, error),) = await database.store.parked(10)
    assert error == "NUL \\0 half \\ud800"
    assert await database.waiting() == []


async def test_an_event_for_a_time_before_1970_is_due(database: Database) -> None:
    await database.put("a", "b")
    async with database.engine.begin() as connection:
        long_ago = update(TABLES.outbox).where(TABLES.outbox.c.position == 1).values(due=-62_135_596_800_000)
        await connection.execute(long_ago)
    assert await database.waiting() == ["a", "b"]


async def test_nothing_that_is_due_is_left_behind_with_few_keys(database: Database) -> None:
    for _ in range(5):
        await database.put(*(f"{n}" for n in range(30)), key="k")
        async with InMemoryEventBus(source="relay") as bus:
            assert await OutboxRelay(database.store, bus, settings=RelaySettings(batch=20)).relay_due() == 30


async def test_a_full_batch_of_one_key_is_followed_by_what_is_left_of_it(database: Database) -> None:
    await database.put(*(f"{n}" for n in range(30)), key="k")
    store = database.store
    for _ in range(10):
        async with store.claim(20, now=LATER, lease=60) as claim:
            assert len(claim.events) == 20


async def test_what_was_scheduled_and_refused_waits_since_it_was_due(database: Database) -> None:
    await database.put("a")
    due = int(LATER * 1000)
    async with database.engine.begin() as connection:
        await connection.execute(update(TABLES.outbox).values(due=due))
    async with database.store.claim(10, now=LATER, lease=60) as claim:
        await claim.settle([], [Refused(claim.events[0].position, "no", 1, LATER + 5)], keep_at=None)
    assert (await database.store.backlog(LATER + 1)).oldest == LATER


@on_sqlite
async def test_a_store_that_two_relays_share_has_one_lease_a_claim(database: Database) -> None:
    await database.put("a", "b", key="k")
    store = database.store
    async with store.claim(10, now=LATER, lease=60) as one:
        assert texts(one.events) == ["a", "b"]
        for _ in range(2):
            async with store.claim(10, now=LATER, lease=60) as other:
                assert texts(other.events) == []


@on_sqlite
async def test_a_relay_with_nothing_to_do_does_not_wait_for_a_writer(database: Database) -> None:
    engine = create_async_engine(database.new_engine().url, connect_args={"timeout": 0.1})
    database.engines.append(engine)
    async with database.engine.connect() as writer:
        await writer.exec_driver_sql("BEGIN IMMEDIATE")
        async with SqlAlchemyOutboxStore(engine, TABLES).claim(10, now=LATER, lease=60) as claim:
            assert texts(claim.events) == []
        await writer.rollback()


@on_sqlite
async def test_what_was_sent_is_written_down_when_a_long_writer_has_ended(database: Database) -> None:
    await database.put("a", "b")
    engine = create_async_engine(database.new_engine().url, connect_args={"timeout": 0.1})
    database.engines.append(engine)
    claiming = SqlAlchemyOutboxStore(engine, TABLES).claim(10, now=time.time(), lease=60)
    async with database.engine.connect() as writer, claiming as claim:
        await writer.exec_driver_sql("BEGIN IMMEDIATE")
        settling = asyncio.create_task(claim.settle([each.position for each in claim.events], [], keep_at=None))
        done, _ = await asyncio.wait([settling], timeout=0.5)
        assert not done
        await writer.rollback()
        await settling
    assert await database.waiting(time.time()) == []


@on_sqlite
async def test_a_batch_may_be_larger_than_a_statement(database: Database) -> None:
    await database.put(*(f"{n}" for n in range(11_000)))
    async with database.store.claim(20_000, now=LATER, lease=60) as claim:
        await claim.settle([each.position for each in claim.events], [], keep_at=None)
    assert await database.waiting() == []


@on_postgresql
async def test_health_reads_nothing_of_what_is_kept_as_sent(database: Database) -> None:
    async with database.sessions.begin() as session:
        outbox = outbox_of(session)
        for number in range(5_000):
            outbox.put(ORDERS, OrderPlaced(f"{number}"))
    async with database.engine.begin() as connection:
        await connection.execute(update(TABLES.outbox).values(state="sent", sent=1))
    async with database.engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
        await database.store.backlog(LATER)
        plan = await connection.execute(text("EXPLAIN SELECT count(*) FROM events_outbox WHERE state = 'parked'"))
        assert "ix_events_outbox_parked" in str(plan.all())
