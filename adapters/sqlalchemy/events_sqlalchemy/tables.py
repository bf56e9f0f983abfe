"""The tables, as part of the user's own metadata."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

__all__ = ["LANES", "PARKED", "SENT", "WAITING", "OutboxTables", "inbox_table", "outbox_tables"]

LANES: Final = 64
"""Keys are claimed in so many groups."""
WAITING: Final = "waiting"
SENT: Final = "sent"
PARKED: Final = "parked"

_ATTRIBUTE: Final = 255
_TOPIC: Final = 150
_TYPE: Final = 200


@dataclass(frozen=True, slots=True)
class OutboxTables:
    """What an outbox needs of a database."""

    outbox: Table
    """One row an event, in the order in which they were put."""
    leases: Table
    """Which relay is at work, where the database has no locks for it: SQLite."""


def outbox_tables(metadata: MetaData, *, prefix: str = "events_", schema: str | None = None) -> OutboxTables:
    """The tables `<prefix>outbox` and `<prefix>outbox_leases`, added to this metadata.

    Migrations make them: Alembic finds them in the metadata as it finds your own.
    """
    name = f"{prefix}outbox"
    outbox = Table(
        name,
        metadata,
        # SQLite counts by itself in columns of this very type only.
        Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("state", String(10), nullable=False, server_default=WAITING),
        Column("due", BigInteger, nullable=False, server_default="0"),
        Column("failures", Integer, nullable=False, server_default="0"),
        Column("error", Text),
        Column("since", BigInteger, nullable=False),
        Column("sent", BigInteger),
        Column("lane", SmallInteger, nullable=False),
        Column("topic", String(_TOPIC), nullable=False),
        Column("key", String(_ATTRIBUTE)),
        Column("id", String(_ATTRIBUTE), nullable=False),
        Column("type", String(_TYPE), nullable=False),
        Column("version", Integer, nullable=False),
        Column("source", String(_ATTRIBUTE), nullable=False),
        Column("time", String(40), nullable=False),
        Column("correlation_id", String(_ATTRIBUTE)),
        Column("causation_id", String(_ATTRIBUTE)),
        Column("headers", Text),
        Column("content_type", String(_ATTRIBUTE), nullable=False),
        Column("body", LargeBinary, nullable=False),
        # Positions are never used twice, also when the newest row was deleted.
        sqlite_autoincrement=True,
        schema=schema,
    )
    columns = outbox.c
    Index(f"ix_{name}_waiting", columns.due, columns.position, **_where("state = 'waiting'"))
    failing = "state = 'waiting' AND failures > 0"
    Index(f"ix_{name}_failing", columns.topic, columns.key, columns.position, **_where(failing))
    Index(f"ix_{name}_parked", columns.position, **_where("state = 'parked'"))
    Index(f"ix_{name}_sent", columns.sent, **_where("state = 'sent'"))
    leases = Table(
        f"{name}_leases",
        metadata,
        Column("name", String(40), primary_key=True),
        Column("owner", String(40), nullable=False),
        Column("until", BigInteger, nullable=False),
        schema=schema,
    )
    return OutboxTables(outbox, leases)


def inbox_table(metadata: MetaData, *, prefix: str = "events_", schema: str | None = None) -> Table:
    """The table `<prefix>inbox`, added to this metadata: one row for each event that a handler has handled."""
    name = f"{prefix}inbox"
    inbox = Table(
        name,
        metadata,
        # Strangers' ids may be longer than ours.
        Column("id", Text, primary_key=True),
        Column("consumer", Text, primary_key=True),
        Column("handler", Text, primary_key=True),
        Column("handled", BigInteger, nullable=False),
        schema=schema,
    )
    Index(f"ix_{name}_handled", inbox.c.handled)
    return inbox


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}
