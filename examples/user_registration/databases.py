"""Where a service keeps its tables: PostgreSQL, or a file of SQLite."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import URL, MetaData, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

DRIVERS: Final[Mapping[str, str]] = MappingProxyType({"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"})
PATIENCE: Final = 10.0
"""Seconds that a server may take for an answer, and that SQLite's one writer is waited for."""
LIMITS: Final[Mapping[str, dict[str, Any]]] = MappingProxyType(
    {
        "postgresql+asyncpg": {"timeout": PATIENCE, "command_timeout": PATIENCE},
        "sqlite+aiosqlite": {"timeout": PATIENCE},
    }
)


@asynccontextmanager
async def open_engine(url: str) -> AsyncGenerator[AsyncEngine]:
    """The database at this URL, with or without a driver in it."""
    place = with_driver(url)
    engine = create_async_engine(place, pool_pre_ping=True, connect_args=LIMITS.get(place.drivername, {}))
    if place.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _let_readers_read)
    try:
        yield engine
    finally:
        await engine.dispose()


async def create_tables(engine: AsyncEngine, metadata: MetaData) -> None:
    """Make what is missing. A service that has come to stay has migrations instead."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)


def with_driver(url: str) -> URL:
    """The URL with an asynchronous driver, where it names none."""
    place = make_url(url)
    return place.set(drivername=DRIVERS.get(place.drivername, place.drivername))


def _let_readers_read(connection: DBAPIConnection, _record: Any) -> None:  # noqa: ANN401 as SQLAlchemy has it
    cursor = connection.cursor()
    # The relay reads while the service writes.
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()
