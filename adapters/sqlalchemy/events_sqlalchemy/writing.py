"""The outbox's end of a session: what is put waits in memory, and is written right before the commit."""

from collections.abc import Callable
from typing import Final, cast

from sqlalchemy import event as events
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from events_core.ports import Waiting
from events_sqlalchemy.rows import to_row
from events_sqlalchemy.tables import OutboxTables

__all__ = ["SessionWriter", "channel_of"]

_INFO: Final = "events_sqlalchemy.writers"


class SessionWriter:
    """Writes the rows of one session, in the order in which they were put.

    As late as possible: a transaction that changes an aggregate has its row locked by then, so that the positions of
    events about one aggregate follow the order in which its transactions committed. What a savepoint put is forgotten
    when it is rolled back.
    """

    def __init__(self, session: Session, tables: OutboxTables) -> None:
        self.notify: bool = False
        self.after_commit: set[Callable[[], object]] = set()
        self._session = session
        self._table = tables.outbox
        self._rows: list[dict[str, object]] = []
        self._savepoints: dict[SessionTransaction, int] = {}
        self._wrote = False
        events.listen(session, "after_transaction_create", self._begun)
        events.listen(session, "after_soft_rollback", self._rolled_back)
        events.listen(session, "before_commit", self._before_commit)
        events.listen(session, "after_commit", self._committed)
        events.listen(session, "after_transaction_end", self._ended)

    @classmethod
    def of(cls, session: Session | AsyncSession, tables: OutboxTables) -> "SessionWriter":
        """The one writer of this session for these tables."""
        sync = session.sync_session if isinstance(session, AsyncSession) else session
        writers = cast("dict[str, SessionWriter]", sync.info.setdefault(_INFO, {}))
        name = tables.outbox.fullname
        if name not in writers:
            writers[name] = cls(sync, tables)
        return writers[name]

    def write(self, event: Waiting) -> None:
        """Write it with the commit. Begins the session's transaction, as adding an object does; no I/O."""
        if not self._session.in_transaction():
            self._session.begin()
        self._rows.append(to_row(event))
        if self._wrote:
            # Somebody put it while the session was committing, after our own turn.
            self._insert()

    def _begun(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            self._savepoints[transaction] = len(self._rows)

    def _rolled_back(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction in self._savepoints:
            del self._rows[self._savepoints[transaction] :]

    def _before_commit(self, session: Session) -> None:
        if session.in_nested_transaction():
            return
        session.flush()
        if self._rows:
            self._insert()
        self._wrote = True

    def _insert(self) -> None:
        rows, self._rows = self._rows, []
        self._session.execute(insert(self._table), rows)
        if self.notify and self._session.get_bind(clause=insert(self._table)).dialect.name == "postgresql":
            self._session.execute(select(func.pg_notify(channel_of(self._table.fullname), "")))

    def _committed(self, session: Session) -> None:
        if self._wrote and not session.in_nested_transaction():
            for call in self.after_commit:
                call()

    def _ended(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self._rows.clear()
            self._savepoints.clear()
            self._wrote = False


def channel_of(table: str) -> str:
    """The channel on which PostgreSQL tells relays of new rows; it takes names of up to 63 bytes."""
    return table[-63:]
