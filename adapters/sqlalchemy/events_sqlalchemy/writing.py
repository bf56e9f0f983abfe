"""The outbox's end of a session: what is put waits in memory, and is written right before the commit."""

import logging
from collections.abc import Callable, Iterator
from typing import Final, cast

from sqlalchemy import Connection, func, insert, select
from sqlalchemy import event as events
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from events_core.ports import Waiting
from events_sqlalchemy.errors import refuse_autocommit, without_parameters
from events_sqlalchemy.rows import to_row
from events_sqlalchemy.tables import OutboxTables

__all__ = ["SessionWriter", "channel_of"]

_log = logging.getLogger("events_core")

_INFO: Final = "events_sqlalchemy.writers"


class SessionWriter:
    """Writes the rows of one session, in the order in which they were put.

    As late as possible: a transaction that changes an aggregate has its row locked by then, so that the positions of
    events about one aggregate follow the order in which its transactions committed. What a savepoint put is forgotten
    when it is rolled back. When they cannot be written, the transaction can only be rolled back.
    """

    def __init__(self, session: Session, tables: OutboxTables) -> None:
        self.notify: bool = False
        self.after_commit: set[Callable[[], object]] = set()
        self._session = session
        self._table = tables.outbox
        # Asks nothing back: that needs the right to read, for a single row.
        self._insertion = insert(tables.outbox).inline()
        self._rows: list[dict[str, object]] = []
        # One that begins later notes how much was put before it; these are there already.
        self._savepoints: dict[SessionTransaction, int] = {
            each: 0 for each in _upwards(session.get_nested_transaction()) if each.nested
        }
        # Whether somebody who puts an event now comes after our own turn in the commit.
        self._late = False
        self._inserted = False
        self._failed = False
        self._undone = False
        events.listen(session, "after_transaction_create", self._begun)
        events.listen(session, "after_rollback", self._undo)
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
        if not self._rows:
            refuse_autocommit(self._session.get_bind(clause=self._insertion))
        self._rows.append(to_row(event))
        if self._late:
            self._insert()

    def _begun(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            # What is not around the new one has ended.
            around = {each: self._savepoints[each] for each in _upwards(transaction.parent) if each in self._savepoints}
            self._savepoints = {**around, transaction: len(self._rows)}

    def _undo(self, session: Session) -> None:
        if not session.in_nested_transaction():
            self._undone = True

    def _rolled_back(self, session: Session, transaction: SessionTransaction) -> None:
        # A flush that fails rolls back the savepoint around it, and tells of itself only.
        savepoint = next((each for each in _upwards(transaction) if each in self._savepoints), None)
        if savepoint is not None:
            del self._rows[self._savepoints[savepoint] :]

    def _before_commit(self, session: Session) -> None:
        if session.in_nested_transaction():
            return
        if self._failed:
            raise PendingRollbackError(
                "the events of this transaction could not be written; roll back, and begin again"
            )
        session.flush()
        if self._rows:
            self._insert()
        self._late = True

    def _insert(self) -> None:
        self._failed = True
        with without_parameters():
            refuse_autocommit(self._session.connection(bind_arguments={"clause": self._insertion}))
            self._session.execute(self._insertion, self._rows)
            if self.notify and self._session.get_bind(clause=self._insertion).dialect.name == "postgresql":
                self._session.execute(select(func.pg_notify(channel_of(self._table.fullname), "")))
        self._rows = []
        self._inserted = True
        self._failed = False

    def _committed(self, session: Session) -> None:
        if not self._inserted or session.in_nested_transaction():
            return
        for call in self.after_commit:
            try:
                call()
            except Exception:  # noqa: BLE001 what is committed stays committed, whoever fails
                _log.exception("the events are committed, but who is told by `committed` failed")

    def _ended(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self._tell_of_loss()
            self._rows.clear()
            self._savepoints.clear()
            self._late = self._inserted = self._failed = self._undone = False

    def _tell_of_loss(self) -> None:
        """What the session flushed into a transaction that began outside of it may be committed there."""
        if not self._rows or self._failed or self._undone:
            return
        bind = self._session.get_bind(clause=self._insertion)
        if isinstance(bind, Connection) and bind.in_transaction():
            number = len(self._rows)
            _log.error(
                "%s dropped: the session ended without session.commit(), inside of a transaction that goes on",
                "1 event was" if number == 1 else f"{number} events were",
            )


def _upwards(transaction: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while transaction is not None:
        yield transaction
        transaction = transaction.parent


def channel_of(table: str) -> str:
    """The channel on which PostgreSQL tells relays of new rows; it takes names of up to 63 bytes."""
    return table[-63:]
