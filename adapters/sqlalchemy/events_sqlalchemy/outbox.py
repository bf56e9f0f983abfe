from collections.abc import Callable
from typing import Unpack

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from events_core.outbox import Outbox, OutboxOptions
from events_sqlalchemy.tables import OutboxTables
from events_sqlalchemy.writing import SessionWriter

__all__ = ["SqlAlchemyOutbox"]


class SqlAlchemyOutbox(Outbox):
    """An outbox in the transaction of a session, `AsyncSession` or `Session`.

    What is put is one row each, written when the session commits, and forgotten when it rolls back. `committed` is
    called after that: give it the `wake` of a relay in the same process. `notify` wakes relays in other processes
    (PostgreSQL only): it costs every commit a lock that all of them share.
    """

    def __init__(
        self,
        session: Session | AsyncSession,
        tables: OutboxTables,
        *,
        source: str,
        committed: Callable[[], object] | None = None,
        notify: bool = False,
        **options: Unpack[OutboxOptions],
    ) -> None:
        writer = SessionWriter.of(session, tables)
        writer.notify = writer.notify or notify
        if committed is not None:
            writer.after_commit.add(committed)
        super().__init__(writer, source=source, **options)
