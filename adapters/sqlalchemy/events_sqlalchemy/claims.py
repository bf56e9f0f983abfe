"""How relays keep out of each other's way."""

import os
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from zlib import crc32

from sqlalchemy import Row, Table, bindparam, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Integer

from events_core.ports import Claim, Refused, Stored
from events_sqlalchemy.errors import EDGE, TIMEOUT
from events_sqlalchemy.rows import milliseconds, to_event
from events_sqlalchemy.statements import let_go, refuse, select_due
from events_sqlalchemy.tables import LANES, PARKED, WAITING, OutboxTables

__all__ = ["Claims", "PostgreSQLClaims", "SQLiteClaims"]

_LEASE: Final = "relay"


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
            "SELECT array(SELECT lane FROM unnest(:lanes) AS lane WHERE pg_try_advisory_xact_lock(:outbox, lane)), "
            "set_config('idle_in_transaction_session_timeout', :lease, true)"
        ).bindparams(bindparam("lanes", type_=ARRAY(Integer)))
        self._outbox = crc32(table.fullname.encode()) - 2**31
        self._full = False

    @asynccontextmanager
    async def claim(self, limit: int, *, now: float, lease: float) -> AsyncGenerator[Claim]:
        """As the port says."""
        async with _connected(self._engine) as connection:
            async with EDGE.translated(TIMEOUT):
                locks = {"lanes": self._choice(), "outbox": self._outbox, "lease": str(int(lease * 1000))}
                lanes: list[int] = (await connection.execute(self._lock, locks)).scalar_one()
                rows: Sequence[Row[Any]] = ()
                if lanes:
                    window = {"now": int(now * 1000), "limit": limit, "again": limit // 2 + 1, "lanes": lanes}
                    rows = (await connection.execute(self._select, window)).all()
            self._full = len(rows) == limit
            yield _Claim(tuple(map(to_event, rows)), _Settling(connection, self._table, as_array=True))
            async with EDGE.translated(TIMEOUT):
                await connection.commit()

    def _choice(self) -> list[int]:
        """All lanes; half of them, at random, where there is enough in them: the rest is for other relays."""
        return random.sample(range(LANES), LANES // 2 if self._full else LANES)


class SQLiteClaims:
    """Leases the whole outbox: there is one writer at a time anyway, and no lock that could wait for a broker.

    The lease is let go when the events are settled, and runs out where a relay died.
    """

    def __init__(self, engine: AsyncEngine, tables: OutboxTables) -> None:
        self._engine = engine
        self._table = tables.outbox
        self._leases = tables.leases
        self._select = select_due(tables.outbox, by_lane=False)
        self._owner = os.urandom(16).hex()

    @asynccontextmanager
    async def claim(self, limit: int, *, now: float, lease: float) -> AsyncGenerator[Claim]:
        """As the port says."""
        async with _connected(self._engine) as connection:
            rows: Sequence[Row[Any]] = ()
            async with EDGE.translated(TIMEOUT):
                if await self._take(connection, now, lease):
                    window = {"now": int(now * 1000), "limit": limit, "again": limit // 2 + 1}
                    rows = (await connection.execute(self._select, window)).all()
                    await connection.rollback()
            try:
                yield _Claim(tuple(map(to_event, rows)), _Settling(connection, self._table, as_array=False))
            finally:
                async with EDGE.translated(TIMEOUT):
                    await self._let_go(connection)

    async def _take(self, connection: AsyncConnection, now: float, lease: float) -> bool:
        leases = self._leases
        new = {"owner": self._owner, "until": milliseconds(now + lease)}
        taken = await connection.execute(
            sqlite.insert(leases)
            .values(name=_LEASE, **new)
            .on_conflict_do_update(index_elements=[leases.c.name], set_=new, where=leases.c.until <= milliseconds(now))
            .returning(leases.c.owner)
        )
        mine = taken.first() is not None
        await connection.commit()
        return mine

    async def _let_go(self, connection: AsyncConnection) -> None:
        leases = self._leases
        await connection.execute(update(leases).where(leases.c.owner == self._owner).values(until=0))
        await connection.commit()


@dataclass(frozen=True, slots=True)
class _Claim:
    """Events, and where to write down what became of them."""

    events: Sequence[Stored]
    settling: "_Settling"

    async def settle(self, sent: Sequence[int], refused: Sequence[Refused], *, keep_at: float | None) -> None:
        async with EDGE.translated(TIMEOUT):
            await self.settling.write(sent, refused, keep_at)


@dataclass(frozen=True, slots=True)
class _Settling:
    """The statements that settle, in the transaction of a connection that is committed by its owner."""

    connection: AsyncConnection
    table: Table
    as_array: bool

    async def write(self, sent: Sequence[int], refused: Sequence[Refused], keep_at: float | None) -> None:
        if sent:
            at = {} if keep_at is None else {"at": milliseconds(keep_at)}
            statement = let_go(self.table, keep=keep_at is not None, as_array=self.as_array)
            await self.connection.execute(statement, {"positions": list(sent), **at})
        if refused:
            await self.connection.execute(refuse(self.table), [_values(each) for each in refused])


def _values(refused: Refused) -> dict[str, object]:
    return {
        "which": refused.position,
        "new_state": PARKED if refused.due is None else WAITING,
        "new_due": 0 if refused.due is None else milliseconds(refused.due),
        "new_failures": refused.failures,
        "new_error": refused.error,
    }


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection; whatever it has not committed is rolled back at the end."""
    async with EDGE.translated(TIMEOUT):
        connection = await engine.connect()
    try:
        yield connection
    finally:
        async with EDGE.translated(TIMEOUT):
            await connection.close()
