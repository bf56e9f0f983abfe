from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from events_core.errors import ConfigurationError, UnsupportedCapability
from events_core.ports import Backlog, Claim, Stored
from events_sqlalchemy.claims import Claims, PostgreSQLClaims, SQLiteClaims, answering
from events_sqlalchemy.listening import listen
from events_sqlalchemy.rows import milliseconds, seconds, to_event
from events_sqlalchemy.statements import count_backlog, purge_sent
from events_sqlalchemy.tables import PARKED, WAITING, OutboxTables
from events_sqlalchemy.writing import channel_of

__all__ = ["SqlAlchemyOutboxStore"]

_CLAIMS: Final[Mapping[str, Callable[[AsyncEngine, OutboxTables], Claims]]] = MappingProxyType(
    {"postgresql": PostgreSQLClaims, "sqlite": SQLiteClaims}
)


class SqlAlchemyOutboxStore:
    """The relay's end of an outbox. The engine is the caller's; a relay needs two of its connections, three to listen."""

    def __init__(self, engine: AsyncEngine, tables: OutboxTables) -> None:
        if engine.dialect.name not in _CLAIMS:
            raise ConfigurationError(f"an outbox lives on PostgreSQL or SQLite, not on {engine.dialect.name}")
        self._engine = engine
        self._table = tables.outbox
        self._claims = _CLAIMS[engine.dialect.name](engine, tables)

    def claim(self, limit: int, *, now: float, lease: float) -> AbstractAsyncContextManager[Claim]:
        """Claim by key: with locks on PostgreSQL, with a lease on SQLite."""
        return self._claims.claim(limit, now=now, lease=lease)

    async def backlog(self, now: float) -> Backlog:
        """Count."""
        async with answering(), self._engine.connect() as connection:
            found = (await connection.execute(count_backlog(self._table), {"now": int(now * 1000)})).one()
        oldest = None if found.since is None else seconds(found.since)
        return Backlog(waiting=found.waiting, scheduled=found.scheduled, parked=found.parked, oldest=oldest)

    async def purge(self, before: float, limit: int) -> int:
        """Delete what was kept as sent before."""
        async with answering(), self._engine.begin() as connection:
            window = {"before": milliseconds(before), "limit": limit}
            return (await connection.execute(purge_sent(self._table), window)).rowcount

    async def parked(self, limit: int) -> Sequence[tuple[Stored, str]]:
        """The oldest first."""
        columns = self._table.c
        parked = select(self._table).where(columns.state == PARKED).order_by(columns.position).limit(limit)
        async with answering(), self._engine.connect() as connection:
            rows = (await connection.execute(parked)).all()
        return [(to_event(row), row.error or "") for row in rows]

    async def retry(self, *ids: str) -> int:
        """Let parked events be sent again."""
        columns = self._table.c
        again = update(self._table).where(columns.state == PARKED, columns.id.in_(ids))
        async with answering(), self._engine.begin() as connection:
            return (await connection.execute(again.values(state=WAITING, due=0, failures=0))).rowcount

    async def discard(self, *ids: str) -> int:
        """Delete parked events."""
        columns = self._table.c
        gone = delete(self._table).where(columns.state == PARKED, columns.id.in_(ids))
        async with answering(), self._engine.begin() as connection:
            return (await connection.execute(gone)).rowcount

    async def listen(self, wake: Callable[[], None]) -> None:
        """Wake up whenever a session with `notify=True` commits, until cancelled; on PostgreSQL."""
        if self._engine.dialect.name != "postgresql":
            raise UnsupportedCapability(f"{self._engine.dialect.name} tells nobody of new rows")
        await listen(self._engine, channel_of(self._table.fullname), wake)
