"""What goes wrong with a database is one of ours, names its cause, and shows neither password nor event."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from brokers import FaultProxy, PostgreSQL
from events_core import InMemoryEventBus
from events_core.errors import ConfigurationError, EventsError, StoreUnavailable
from events_core.outbox import OutboxRelay, open_store
from events_core.ports import OutboxStore
from events_sqlalchemy import SqlAlchemyOutboxStore
from events_sqlalchemy.errors import EDGE
from tests.adapters.sqlalchemy.shop import TABLES, Database
from tests.faults.waiting import until

pytestmark = pytest.mark.anyio

ON_POSTGRESQL = [pytest.param(each, marks=pytest.mark.broker("postgresql")) for each in ("asyncpg", "psycopg")]


async def failure(store: OutboxStore) -> EventsError:
    with pytest.raises(EventsError) as caught:
        await store.backlog(0.0)
    assert caught.value.__cause__ is not None
    return caught.value


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_database_that_is_not_there_is_unavailable(driver: str) -> None:
    async with open_store(f"postgresql+{driver}://shop:secret@127.0.0.1:1/shop") as store:
        error = await failure(store)
    assert isinstance(error, StoreUnavailable)
    assert "secret" not in f"{error} {error!r}"


@pytest.mark.parametrize("driver", ON_POSTGRESQL)
async def test_a_database_that_does_not_exist_says_so(driver: str, postgresql: PostgreSQL) -> None:
    url = postgresql.url.rpartition("/")[0].replace("postgresql://", f"postgresql+{driver}://")
    async with open_store(f"{url}/no_such_shop") as store:
        assert "no_such_shop" in str(await failure(store))


@pytest.mark.parametrize("database", ON_POSTGRESQL, indirect=True)
async def test_an_error_shows_neither_statement_nor_event(database: Database) -> None:
    await database.put("a secret")
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE events_outbox DROP COLUMN due")
    error = await failure(database.store)
    assert "run the migration" in str(error)
    assert "SELECT" not in str(error)
    assert "secret" not in str(error)


async def test_a_database_that_does_not_answer_in_time_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="did not answer"):
        async with EDGE.translated(0.01):
            await asyncio.Event().wait()
    with pytest.raises(StoreUnavailable, match="broke"):
        async with EDGE.translated(5):
            raise asyncio.CancelledError


async def test_another_kind_of_database_is_refused() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    engine.sync_engine.dialect.name = "oracle"
    with pytest.raises(ConfigurationError, match="PostgreSQL or SQLite"):
        SqlAlchemyOutboxStore(engine, TABLES)
    await engine.dispose()


@pytest.mark.parametrize("database", ON_POSTGRESQL, indirect=True)
async def test_a_relay_goes_on_when_its_connections_were_reset(database: Database, postgresql: PostgreSQL) -> None:
    async with FaultProxy("127.0.0.1", postgresql.port) as proxy, InMemoryEventBus(source="relay") as bus:
        through = Database(proxy.url(database.url), database.driver)
        async with OutboxRelay(through.store, bus) as relay:

            async def has_sent(number: int) -> bool:
                return (await relay.health()).sent == number

            for number in (1, 2, 3):
                await database.put("tea")
                await until(lambda number=number: has_sent(number), within=20)  # type: ignore[misc]
                proxy.reset()
        await through.close()
