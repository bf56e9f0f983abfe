from typing import Any, Final, cast

from sqlalchemy import Delete, Table, bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from events_core.clock import Clock, SystemClock
from events_core.errors import AlreadyHandled, ConfigurationError
from events_core.ports import Once, Received
from events_sqlalchemy.errors import EDGE, TIMEOUT, refuse_autocommit, without_parameters
from events_sqlalchemy.rows import milliseconds

__all__ = ["SqlAlchemyInbox", "SqlAlchemyInboxStore"]

_SYSTEM: Final = SystemClock()
_INFO: Final = "events_sqlalchemy.noted"


class SqlAlchemyInbox:
    """An inbox in the transaction of a session, `AsyncSession` or `Session`.

    The note that an event was handled commits with everything else in that transaction, or vanishes with it: roll back
    when the block fails, as `async with session.begin()` does. Of two transactions with one delivery the second waits for
    the first, on SQLite for as long as its `timeout`, and then fails. Two blocks for one delivery in one transaction
    are refused.
    """

    def __init__(self, session: Session | AsyncSession, table: Table, *, clock: Clock = _SYSTEM) -> None:
        self._session = session
        self._table = table
        self._clock = clock

    def once(self, received: Received) -> Once:
        """Guard a block: `async with` in an `AsyncSession`, `with` in a `Session`."""
        return _Once(self._session, self._note(received), received)

    def _note(self, received: Received) -> ReturningInsert[Any]:
        sync = self._session.sync_session if isinstance(self._session, AsyncSession) else self._session
        dialect = sync.get_bind(clause=select(self._table)).dialect.name
        insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
        return (
            insert(self._table)
            .values(
                id=received.id,
                consumer=received.consumer,
                handler=received.handler,
                handled=int(self._clock.time() * 1000),
            )
            .on_conflict_do_nothing()
            # How many rows an insert made is told by some drivers only.
            .returning(self._table.c.id)
        )


class _Once:
    """Notes a delivery when it is entered."""

    def __init__(self, session: Session | AsyncSession, note: ReturningInsert[Any], received: Received) -> None:
        self._session = session
        self._note = note
        self._received = received

    async def __aenter__(self) -> None:
        if not isinstance(self._session, AsyncSession):
            raise ConfigurationError("this inbox has a Session: use `with`, or give it an AsyncSession")
        await self._session.run_sync(self._enter)

    async def __aexit__(self, *_: object) -> None: ...

    def __enter__(self) -> None:
        if isinstance(self._session, AsyncSession):
            raise ConfigurationError("this inbox has an AsyncSession: use `async with`, or give it a Session")
        self._enter(self._session)

    def __exit__(self, *_: object) -> None: ...

    def _enter(self, session: Session) -> None:
        with without_parameters():
            refuse_autocommit(session.connection(bind_arguments={"clause": self._note}))
            is_new = session.execute(self._note).first() is not None
        received = self._received
        who = received.handler or received.consumer
        delivery, noted_here = (received.id, received.consumer, received.handler), _noted_here(session)
        if is_new:
            noted_here.add(delivery)
        elif delivery in noted_here:
            raise ConfigurationError(
                f"{who} guards the event {received.id} twice in one transaction: make one `once` around both"
            )
        else:
            raise AlreadyHandled(f"{who} has handled the event {received.id}")


def _noted_here(session: Session) -> set[tuple[str, str, str]]:
    """What was noted in the session's present transaction."""
    present = session.get_transaction()
    transaction, noted = cast("tuple[object, set[tuple[str, str, str]]]", session.info.get(_INFO, (None, set())))
    if transaction is not present:
        noted = set[tuple[str, str, str]]()
        session.info[_INFO] = (present, noted)
    return noted


class SqlAlchemyInboxStore:
    """The table of an inbox, as a whole: what to forget. The engine is the caller's."""

    def __init__(self, engine: AsyncEngine, table: Table) -> None:
        self._engine = engine
        self._purge = _older(table)

    async def purge(self, before: float, limit: int) -> int:
        """Forget what was handled before, at most so many rows, and say how many."""
        async with EDGE.translated(TIMEOUT), self._engine.begin() as connection:
            window = {"before": milliseconds(before), "limit": limit}
            return (await connection.execute(self._purge, window)).rowcount


def _older(table: Table) -> Delete:
    columns = table.c
    key = (columns.id, columns.consumer, columns.handler)
    old = select(*key).where(columns.handled < bindparam("before")).limit(bindparam("limit"))
    return delete(table).where(tuple_(*key).in_(old))
