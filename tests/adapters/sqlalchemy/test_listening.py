"""PostgreSQL wakes a relay, where the way to it passes wake-ups on."""

import asyncio
from contextlib import ExitStack
from functools import partial

import pytest
from sqlalchemy import text

from brokers import BrokerUnavailable, PostgreSQL
from events_core import InMemoryEventBus
from events_core.errors import StoreUnavailable, UnsupportedCapability
from events_core.outbox import OutboxRelay, RelaySettings
from events_sqlalchemy import SqlAlchemyOutbox
from tests.adapters.sqlalchemy.shop import ORDERS, TABLES, Database, OrderPlaced
from tests.faults.waiting import until

pytestmark = pytest.mark.anyio

on_postgresql = pytest.mark.parametrize(
    "database",
    [pytest.param(each, marks=pytest.mark.broker("postgresql")) for each in ("asyncpg", "psycopg")],
    indirect=True,
)


async def put(database: Database) -> None:
    async with database.sessions.begin() as session:
        SqlAlchemyOutbox(session, TABLES, source="shop", notify=True).put(ORDERS, OrderPlaced("tea"))


async def end_listeners(database: Database) -> None:
    async with database.engine.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        await connection.execute(text(ended))


@on_postgresql
async def test_a_commit_wakes_those_who_listen(database: Database) -> None:
    woken = asyncio.Event()
    listening = asyncio.create_task(database.store.listen(woken.set))
    async with asyncio.timeout(10):
        await woken.wait()  # by its own proof
        woken.clear()
        await put(database)
        await woken.wait()
    listening.cancel()
    await asyncio.wait([listening])


@on_postgresql
async def test_a_broken_connection_is_told(database: Database) -> None:
    woken = asyncio.Event()
    listening = asyncio.create_task(database.store.listen(woken.set))
    async with asyncio.timeout(10):
        await woken.wait()
        await end_listeners(database)
        with pytest.raises(StoreUnavailable, match="wake-ups"):
            await listening


@on_postgresql
async def test_a_relay_is_woken_and_listens_anew_after_its_connection_broke(database: Database) -> None:
    async with InMemoryEventBus(source="relay") as bus:
        relay = OutboxRelay(database.store, bus, settings=RelaySettings(poll=3_600), listen=True)
        async with relay:
            for number in (1, 2):
                await until(lambda: is_listening(relay), within=10)
                await put(database)
                await until(partial(has_sent, relay, number), within=10)
                await end_listeners(database)


async def is_listening(relay: OutboxRelay) -> bool:
    return (await relay.health()).listening


async def has_sent(relay: OutboxRelay, number: int) -> bool:
    return (await relay.health()).sent == number


@pytest.mark.parametrize("database", ["aiosqlite"], indirect=True)
async def test_sqlite_wakes_nobody_and_the_relay_polls(database: Database) -> None:
    with pytest.raises(UnsupportedCapability):
        await database.store.listen(lambda: None)
    async with InMemoryEventBus(source="relay") as bus, OutboxRelay(database.store, bus, listen=True) as relay:
        await database.put("tea")
        await until(lambda: has_sent(relay, 1), within=10)
        assert not (await relay.health()).listening


@pytest.mark.parametrize("database", [pytest.param("psycopg", marks=pytest.mark.broker("postgresql"))], indirect=True)
async def test_a_pooler_of_transactions_is_found_out_and_the_relay_polls_through_it(
    database: Database, postgresql: PostgreSQL
) -> None:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgresql.transaction_pooler(database.url.rpartition("/")[2]))
        except BrokerUnavailable as error:
            pytest.skip(str(error))
        pooled = Database(url, database.driver)
        with pytest.raises(UnsupportedCapability, match="pooler"):
            await pooled.store.listen(lambda: None)
        async with InMemoryEventBus(source="relay") as bus, OutboxRelay(pooled.store, bus, listen=True) as relay:
            await pooled.put("tea", "coffee", key="k")
            await until(lambda: has_sent(relay, 2), within=10)
            assert not (await relay.health()).listening
        await pooled.close()
