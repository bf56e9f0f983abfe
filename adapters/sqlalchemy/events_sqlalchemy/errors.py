"""What errors of SQLAlchemy and of the drivers mean."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from events_core.errors import ConfigurationError, StoreUnavailable
from events_core.ports import Edge, Meaning

__all__ = ["EDGE", "TIMEOUT", "refuse_autocommit", "without_parameters"]

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
    lost=StoreUnavailable,
)


@contextmanager
def without_parameters() -> Generator[None, None, None]:
    """Errors of statements keep their kind, and do not show what was in the statement: events."""
    try:
        yield
    except StatementError as error:
        error.hide_parameters = True
        raise


def refuse_autocommit(bind: Engine | Connection) -> None:
    """Where each statement commits itself, there is no transaction to be part of."""
    # SQLAlchemy keeps the argument of `create_engine` to itself.
    default = getattr(bind.dialect, "_on_connect_isolation_level", None)
    if (bind.get_execution_options().get("isolation_level") or default) == "AUTOCOMMIT":
        raise ConfigurationError(
            "outbox and inbox have to be in one transaction with your state: use them with an isolation level other "
            "than AUTOCOMMIT"
        )
