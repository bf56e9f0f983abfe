"""Wake-ups from PostgreSQL: LISTEN on a connection of its own."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol, cast

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events_core.errors import StoreUnavailable, UnsupportedCapability
from events_sqlalchemy.claims import answering

__all__ = ["listen"]

_PROOF: Final = 3.0
"""Seconds within which a wake-up of our own has to arrive."""


class _Notification(Protocol):
    payload: str


class _Psycopg(Protocol):
    """What is used of psycopg's connection."""

    async def set_autocommit(self, value: bool) -> None: ...  # noqa: FBT001 psycopg's signature
    async def execute(self, query: str) -> object: ...
    def notifies(self) -> AsyncIterator[_Notification]: ...


class _Asyncpg(Protocol):
    """What is used of asyncpg's connection."""

    async def add_listener(self, channel: str, callback: Callable[[object, int, str, str], None]) -> None: ...
    def add_termination_listener(self, callback: Callable[[object], None]) -> None: ...


async def listen(engine: AsyncEngine, channel: str, wake: Callable[[], None]) -> None:
    """Call `wake` for every notification, until cancelled.

    A pooler of transactions accepts LISTEN and forgets it, so that a notification of our own has to arrive first.

    Raises:
        UnsupportedCapability: it did not arrive.
        StoreUnavailable: the connection broke.
    """
    token = os.urandom(8).hex()
    proven = asyncio.Event()

    def heard(payload: str) -> None:
        if payload == token:
            proven.set()
        wake()

    async with _listening(engine, channel, heard) as broken:
        async with answering(), engine.begin() as connection:
            await connection.execute(select(func.pg_notify(channel, token)))
        with suppress(TimeoutError):
            await asyncio.wait_for(proven.wait(), _PROOF)
        if not proven.is_set():
            raise UnsupportedCapability(
                f"no wake-up arrived within {_PROOF:g} s: something between here and PostgreSQL, such as a pooler of "
                "transactions, does not pass them on; listen over a direct connection, or poll"
            )
        await broken
    raise StoreUnavailable("the connection for wake-ups broke")


@asynccontextmanager
async def _listening(
    engine: AsyncEngine, channel: str, heard: Callable[[str], None]
) -> AsyncGenerator["asyncio.Future[None]"]:
    """Listens on a connection of its own; the future is done when that is gone."""
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(_of: object) -> None:
        if not broken.done():
            broken.set_result(None)

    async with _driver_of(engine) as driver:
        if engine.dialect.driver == "asyncpg":
            await _listen_asyncpg(cast("_Asyncpg", driver), channel, heard, end)
            yield broken
            return
        reading = await _listen_psycopg(cast("_Psycopg", driver), channel, heard)
        reading.add_done_callback(end)
        try:
            yield broken
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@asynccontextmanager
async def _driver_of(engine: AsyncEngine) -> AsyncGenerator[object]:
    """A connection of the driver. It does not go back to the pool, as it listens."""
    async with answering():
        connection = await engine.connect()
    try:
        async with answering():
            raw = await connection.get_raw_connection()
        yield raw.driver_connection
    finally:
        with suppress(Exception):
            await connection.invalidate()
        with suppress(Exception):
            await connection.close()


async def _listen_asyncpg(
    driver: _Asyncpg, channel: str, heard: Callable[[str], None], end: Callable[[object], None]
) -> None:
    driver.add_termination_listener(end)
    async with answering():
        await driver.add_listener(channel, lambda _driver, _process, _channel, payload: heard(payload))


async def _listen_psycopg(driver: _Psycopg, channel: str, heard: Callable[[str], None]) -> "asyncio.Task[None]":
    async with answering():
        await driver.set_autocommit(True)
        await driver.execute(f'LISTEN "{channel}"')

    async def read() -> None:
        with suppress(Exception):  # whatever ends it: the caller listens anew
            async for notification in driver.notifies():
                heard(notification.payload)

    return asyncio.create_task(read(), name="outbox notifications")
