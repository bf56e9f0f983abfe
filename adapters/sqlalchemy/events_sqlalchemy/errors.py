"""What errors of SQLAlchemy and of the drivers mean."""

import re
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from events_core.errors import StoreUnavailable
from events_core.ports import Edge, Meaning

__all__ = ["EDGE", "TIMEOUT"]

TIMEOUT: Final = 30.0
"""Seconds within which the database has to answer a call of the relay."""
_MIGRATE: Final = "; run the migration that makes the outbox's tables"
_MISSING: Final = ("no such table", "no such column", "does not exist", "UndefinedTable", "UndefinedColumn")
_DRIVERS_CLASS: Final = re.compile(r"^<class '[^']*'>: ")


def _words(error: BaseException) -> str:
    # SQLAlchemy's own text has the statement in it, and its parameters: events.
    original = error.orig if isinstance(error, DBAPIError) else None
    first, *_ = (str(original or error) or type(original or error).__name__).splitlines()
    return _DRIVERS_CLASS.sub("", first)


EDGE: Final = Edge(
    broker="the database",
    meanings=(
        Meaning((SQLAlchemyError,), StoreUnavailable, _MIGRATE, words=_MISSING),
        Meaning((Exception,), StoreUnavailable),
    ),
    words=_words,
)
