import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from brokers import PostgreSQL
from tests.adapters.sqlalchemy.shop import METADATA, Database

ON_POSTGRESQL = [
    pytest.param(driver, id=driver, marks=pytest.mark.broker("postgresql")) for driver in ("asyncpg", "psycopg")
]


@pytest.fixture(params=[pytest.param("aiosqlite", id="sqlite"), *ON_POSTGRESQL])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database with the tables of a shop."""
    if request.param == "aiosqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.new_database(f"shop_{os.urandom(6).hex()}")
    database = Database(url, request.param)
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    try:
        yield database
    finally:
        await database.close()
