from typing import Final

from sqlalchemy import Column, MetaData, String, Table, Uuid

from events_sqlalchemy import outbox_tables

METADATA: Final = MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"})

USERS_TABLE: Final = Table(
    "users",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("email", String(254), nullable=False),
    # This decides between two who come at the same moment with one address.
    Column("email_folded", String(254), nullable=False, unique=True),
)

OUTBOX: Final = outbox_tables(METADATA)
