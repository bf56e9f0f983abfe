"""Units of work, outbox and inbox on SQLAlchemy 2: PostgreSQL and SQLite, asynchronous and synchronous sessions."""

from events_sqlalchemy.inbox import SqlAlchemyInbox, SqlAlchemyInboxStore
from events_sqlalchemy.opening import store_from_url
from events_sqlalchemy.outbox import SqlAlchemyOutbox
from events_sqlalchemy.store import SqlAlchemyOutboxStore
from events_sqlalchemy.tables import OutboxTables, inbox_table, outbox_tables
from events_sqlalchemy.unit_of_work import AsyncSqlAlchemyUnitOfWork, SqlAlchemyUnitOfWork

__all__ = [
    "AsyncSqlAlchemyUnitOfWork",
    "OutboxTables",
    "SqlAlchemyInbox",
    "SqlAlchemyInboxStore",
    "SqlAlchemyOutbox",
    "SqlAlchemyOutboxStore",
    "SqlAlchemyUnitOfWork",
    "inbox_table",
    "outbox_tables",
    "store_from_url",
]
