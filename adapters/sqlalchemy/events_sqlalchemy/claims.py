"""How relays keep out of each other's way."""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Row, Table, bindparam, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Integer

from events_core.errors import NotConnected, StoreUnavailable
from events_core.ports import Claim, Refused, Stored
from events_sqlalchemy.errors import EDGE, TIMEOUT
from events_sqlalchemy.rows import milliseconds, to_event
from events_sqlalchemy.statements import let_go, refuse, select_due
from events_sqlalchemy.tables import LANES, PARKED, WAITING, OutboxTables

__all__ = ["Claims", "PostgreSQLClaims", "SQLiteClaims", "answering"]

_LEASE: Final = "relay"
_LANES: Final = range(LANES)
_LOCKED: Final = "database is locked"
_PAUSE: Final = 0.05
_ERROR: Final = 2_000
"""Characters of an error that are kept."""
_AT_ONCE: Final = 10_000
"""Positions in a statement of SQLite, which takes 32,766 parameters."""


class Claims(Protocol):
    """One database's way to claim events by key."""

    def claim(self, limit: int, *, now: float, lease: float) -> AbstractAsyncContextManager[Claim]:
        """As the port says."""
        ...


class PostgreSQLClaims:
    """Locks groups of keys in a transaction that is open until its events are settled.

    Advisory locks of a transaction: they need no row of their own, work behind transaction poolers, and end with the
    connection of a relay that dies. The lock comes first and the rows are read after it, each statement with a snapshot of
    its own: what another relay has settled before it let go of a lock is seen.
    """

    def __init__(self, engine: AsyncEngine, tables: OutboxTables) -> None:
        table = tables.outbox
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._table = table
        self._select = select_due(table, by_lane=True)
        self._lock = text(
            "SELECT array(SELECT lane FROM unnest(:lanes) AS lane WHERE pg_try_advisory_xact_lock("
            "CAST(CAST(CAST(CAST(:outbox AS text) AS regclass) AS oid) AS int4), lane)), "
            "set_config('idle_in_transaction_session_timeout', :lease, true)"
        ).bindparams(bindparam("lanes", type_=ARRAY(Integer)))
        self._outbox = _name_in(engine, table)
        self._full = False

    @asynccontextmanager
    async def claim(self, limit: int, *, now: float, lease: float) -> AsyncGenerator[Claim]:
        """As the port says."""
        async with _connected(self._engine) as connection:
            async with answering():
                window = {"now": int(now * 1000), "limit": limit, "again": limit // 2 + 1}
                rows = await self._look(connection, window, lease)
            yield _Claim(tuple(map(to_event, rows)), _Settling(connection, self._table, as_array=True))
            async with answering():
                await connection.commit()

    async def _look(self, connection: AsyncConnection, window: dict[str, int], lease: float) -> Sequence[Row[Any]]:
        """In half of the lanes, at random, if there is enough in them: the rest is for other relays. If not, in all."""
        rows: Sequence[Row[Any]] = ()
        if self._full:
            rows = await self._lock_and_read(connection, random.sample(_LANES, LANES // 2), window, lease)
            self._full = _is_full(rows, window["limit"])
        if not self._full:
            rows = await self._lock_and_read(connection, _LANES, window, lease)
            self._full = _is_full(rows, window["limit"])
        return rows

    async def _lock_and_read(
        self, connection: AsyncConnection, choice: Sequence[int], window: dict[str, int], lease: float
    ) -> Sequence[Row[Any]]:
        locks = {"lanes": list(choice), "outbox": self._outbox, "lease": str(int(lease * 1000))}
        lanes: list[int] = (await connection.execute(self._lock, locks)).scalar_one()
        return (await connection.execute(self._select, {**window, "lanes": lanes})).all() if lanes else ()


class SQLiteClaims:
    """Leases the whole outbox: there is one writer at a time anyway, and no lock that could wait for a broker.

    The lease is let go when the events are settled, and runs out where a relay died.
    """

    def __init__(self, engine: AsyncEngine, tables: OutboxTables) -> None:
        self._engine = engine
        self._table = tables.outbox
        self._leases = tables.leases
        self._select = select_due(tables.outbox, by_lane=False)
        waiting = select(tables.outbox.c.position).where(
            tables.outbox.c.state == WAITING, tables.outbox.c.due <= bindparam("now")
        )
        held = select(tables.leases.c.until).where(tables.leases.c.name == _LEASE)
        self._peek = select(waiting.exists().label("waits"), held.scalar_subquery().label("until"))

    @asynccontextmanager
    async def claim(self, limit: int, *, now: float, lease: float) -> AsyncGenerator[Claim]:
        """As the port says."""
        asked = time.monotonic()
        owner = os.urandom(16).hex()
        async with _connected(self._engine) as connection:
            rows: Sequence[Row[Any]] = ()
            async with answering():
                taken = await self._is_worth_it(connection, now) and await self._take(
                    connection, owner, now, now + int(time.monotonic() - asked) + lease
                )
                if taken:
                    window = {"now": int(now * 1000), "limit": limit, "again": limit // 2 + 1}
                    rows = (await connection.execute(self._select, window)).all()
                    await connection.rollback()
            until = time.monotonic() + min(lease, TIMEOUT)
            try:
                settling = _Settling(connection, self._table, as_array=False, insist_until=until)
                yield _Claim(tuple(map(to_event, rows)), settling)
            finally:
                if taken:
                    await _insist(connection, lambda: self._let_go(connection, owner), until)

    async def _is_worth_it(self, connection: AsyncConnection, now: float) -> bool:
        """Whether there is something to do and nobody at it; only reads, as an idle relay asks again and again."""
        found = (await connection.execute(self._peek, {"now": int(now * 1000)})).one()
        await connection.rollback()
        return found.waits and (found.until is None or found.until <= milliseconds(now))

    async def _take(self, connection: AsyncConnection, owner: str, now: float, until: float) -> bool:
        leases = self._leases
        new = {"owner": owner, "until": milliseconds(until)}
        taken = await connection.execute(
            sqlite.insert(leases)
            .values(name=_LEASE, **new)
            .on_conflict_do_update(index_elements=[leases.c.name], set_=new, where=leases.c.until <= milliseconds(now))
            .returning(leases.c.owner)
        )
        mine = taken.first() is not None
        await connection.commit()
        return mine

    async def _let_go(self, connection: AsyncConnection, owner: str) -> None:
        leases = self._leases
        await connection.execute(update(leases).where(leases.c.owner == owner).values(until=0))


@dataclass(frozen=True, slots=True)
class _Claim:
    """Events, and where to write down what became of them."""

    events: Sequence[Stored]
    settling: "_Settling"

    async def settle(self, sent: Sequence[int], refused: Sequence[Refused], *, keep_at: float | None) -> None:
        await self.settling.settle(sent, refused, keep_at)


@dataclass(frozen=True, slots=True)
class _Settling:
    """The statements that settle, in the transaction of a connection that is committed by its owner.

    If it is to insist, until a moment of the monotonic clock, they have one of their own.
    """

    connection: AsyncConnection
    table: Table
    as_array: bool
    insist_until: float | None = None

    async def settle(self, sent: Sequence[int], refused: Sequence[Refused], keep_at: float | None) -> None:
        if self.insist_until is not None:
            await _insist(self.connection, lambda: self._write(sent, refused, keep_at), self.insist_until)
            return
        async with answering():
            await self._write(sent, refused, keep_at)

    async def _write(self, sent: Sequence[int], refused: Sequence[Refused], keep_at: float | None) -> None:
        if sent:
            at = {} if keep_at is None else {"at": milliseconds(keep_at)}
            statement = let_go(self.table, keep=keep_at is not None, as_array=self.as_array)
            step = len(sent) if self.as_array else _AT_ONCE
            for first in range(0, len(sent), step):
                await self.connection.execute(statement, {"positions": list(sent[first : first + step]), **at})
        if refused:
            await self.connection.execute(refuse(self.table), [_values(each) for each in refused])


def _values(refused: Refused) -> dict[str, object]:
    return {
        "which": refused.position,
        "new_state": PARKED if refused.due is None else WAITING,
        "new_due": 0 if refused.due is None else milliseconds(refused.due),
        "new_failures": refused.failures,
        "new_error": _storable(refused.error),
    }


def _storable(error: str) -> str:
    """Errors quote what strangers sent; a database takes neither NUL nor half a character."""
    return error.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:_ERROR]


def _is_full(rows: Sequence[Row[Any]], limit: int) -> bool:
    """Whether there is more than was read: the batch has its number of events, or of bytes."""
    return len(rows) == limit or (len(rows) > 0 and rows[0].found > len(rows))


def _name_in(engine: AsyncEngine, table: Table) -> str:
    """How the engine's statements name the table."""
    schemas: Mapping[str | None, str | None] = engine.get_execution_options().get("schema_translate_map") or {}
    schema = schemas.get(table.schema, table.schema)
    quote = engine.dialect.identifier_preparer
    return f"{quote.quote_schema(schema)}.{quote.quote(table.name)}" if schema else quote.quote(table.name)


@asynccontextmanager
async def answering() -> AsyncGenerator[None]:
    """Calls of the database: what is not there, or hangs, is unavailable, and not a broker that was not sent to."""
    try:
        async with EDGE.translated(TIMEOUT):
            yield
    except NotConnected as error:
        raise StoreUnavailable(str(error)) from error


async def _insist(connection: AsyncConnection, write: Callable[[], Awaitable[None]], until: float) -> None:
    """Write and commit; while another writer has the database, try again."""
    while True:
        try:
            async with answering():
                await write()
                await connection.commit()
        except StoreUnavailable as error:
            if _LOCKED not in str(error) or time.monotonic() >= until:
                raise
            async with answering():
                await connection.rollback()
            await asyncio.sleep(_PAUSE)
        else:
            return


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection; whatever it has not committed is rolled back at the end."""
    async with answering():
        connection = await engine.connect()
    try:
        yield connection
    finally:
        async with answering():
            await connection.close()
