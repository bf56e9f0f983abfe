from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from sqlalchemy import MetaData
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from events_core.errors import MissingExtra
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
    parsed = make_url(url)
    if parsed.drivername in _DRIVERS:
        parsed = parsed.set(drivername=f"{parsed.drivername}+{_driver(parsed.drivername)}")
    engine = create_async_engine(parsed, pool_pre_ping=True)
    try:
        yield SqlAlchemyOutboxStore(engine, outbox_tables(MetaData(), prefix=prefix, schema=schema))
    finally:
        await engine.dispose()


def _driver(database: str) -> str:
    drivers = _DRIVERS[database]
    for driver in drivers:
        if find_spec(driver) is not None:
            return driver
    raise MissingExtra(f"{database}:// needs an asynchronous driver: pip install {drivers[0]}")
