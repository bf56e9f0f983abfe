from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import MetaData
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from events_core.errors import ConfigurationError, MissingExtra
from events_sqlalchemy.store import SqlAlchemyOutboxStore
from events_sqlalchemy.tables import outbox_tables

__all__ = ["store_from_url"]

_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"postgresql": ("asyncpg", "psycopg"), "sqlite": ("aiosqlite",)}
)


@asynccontextmanager
async def store_from_url(
    url: str, *, prefix: str = "events_", schema: str | None = None
) -> AsyncGenerator[SqlAlchemyOutboxStore]:
    """The outbox in a database, over an engine of its own. A URL without driver takes an asynchronous one that is there."""
    parsed = _parsed(url)
    engine = create_async_engine(parsed, pool_pre_ping=True)
    try:
        yield SqlAlchemyOutboxStore(engine, outbox_tables(MetaData(), prefix=prefix, schema=schema))
    finally:
        await engine.dispose()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither the URL nor the cause is shown: a password may be in it.
        raise ConfigurationError("the database's URL cannot be read; write driver://user@host:port/name") from None
    if parsed.drivername in _DRIVERS:
        parsed = parsed.set(drivername=f"{parsed.drivername}+{_driver(parsed.drivername)}")
    if parsed.drivername == "postgresql+asyncpg" and "sslmode" in parsed.query:
        # libpq's word, which asyncpg takes under another name.
        mode = parsed.query["sslmode"]
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    file = parsed.database
    if (
        parsed.get_backend_name() == "sqlite"
        and file
        and not file.startswith((":", "file:"))
        and not Path(file).exists()
    ):
        raise ConfigurationError(f"there is no database in {file}; a relay makes none")
    return parsed


def _driver(database: str) -> str:
    drivers = _DRIVERS[database]
    for driver in drivers:
        if find_spec(driver) is not None:
            return driver
    raise MissingExtra(f"{database}:// needs an asynchronous driver: pip install {drivers[0]}")
