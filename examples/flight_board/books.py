"""What a consumer has done, in a database of its own: nothing lost and nothing counted twice, even if it is killed.

A bus delivers at least once. Every effect is therefore written in one transaction with the id of its event: a process
that is killed leaves both or neither, and an event that comes again is recognised by its id.
"""

import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from events_core import Context, IntegrationEvent, RetryPolicy

QUICK_RETRY: Final = RetryPolicy(delays=(0.2, 0.5))
"""Seconds, so short that the demo stays quick. Real dependencies deserve minutes."""
ATTEMPTS: Final = 1 + len(QUICK_RETRY.delays)

TABLES: Final = """
CREATE TABLE IF NOT EXISTS handled (event TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed (event TEXT, attempt INTEGER, PRIMARY KEY (event, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS repeated (event TEXT);
"""


class Books:
    """The database of one consumer, and the middleware that lets every event through once.

    `run` is what the ids of this run's events start with. Other processes may open the same file and look on.
    """

    def __init__(self, file: Path, *, run: str) -> None:
        self._run = run
        self._database = _open(file, TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()

    def create(self, tables: str) -> None:
        """Make the tables of the consumer's own effects, where they are not there yet."""
        self._database.executescript(tables)

    async def __call__(self, event: IntegrationEvent, context: Context, call: Callable[[], Awaitable[None]]) -> None:
        """Handle the event, unless it was handled already or is left over on the broker from an earlier run."""
        if not self.is_ours(context.id):
            return
        if self.has_handled(context.id):
            self._write("INSERT INTO repeated VALUES (?)", context.id)
            return
        try:
            await call()
        except Exception:
            self._write("INSERT OR IGNORE INTO failed VALUES (?, ?)", context.id, context.attempt)
            raise

    @contextmanager
    def entry(self, event_id: str) -> Generator[sqlite3.Connection]:
        """One transaction: what the block writes, and that this event is handled. Do not await inside."""
        with self._database:
            yield self._database
            self._database.execute("INSERT INTO handled VALUES (?)", (event_id,))

    def is_ours(self, event_id: str) -> bool:
        """Whether the event was sent in this run."""
        return event_id.startswith(f"{self._run}.")

    def has_handled(self, event_id: str) -> bool:
        """Whether the event with this id took its effect."""
        return bool(self.number("SELECT count(*) FROM handled WHERE event = ?", event_id))

    @property
    def handled(self) -> int:
        """Events that took their effect."""
        return self.number("SELECT count(*) FROM handled")

    @property
    def retries(self) -> int:
        """Failures after which the event was to come again."""
        return self.number("SELECT count(*) FROM failed WHERE attempt < ?", ATTEMPTS)

    @property
    def given_up(self) -> int:
        """Events that failed for the last time."""
        return self.number("SELECT count(*) FROM failed WHERE attempt = ?", ATTEMPTS)

    @property
    def duplicates(self) -> int:
        """How often an event came again that had been handled."""
        return self.number("SELECT count(*) FROM repeated")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return self._database.execute(query, values).fetchall()

    def number(self, query: str, *values: object) -> int:
        """The one number that a query finds; 0 if it finds none."""
        (found,) = self._database.execute(query, values).fetchone()
        return int(found or 0)

    def _write(self, statement: str, *values: object) -> None:
        with self._database:
            self._database.execute(statement, values)


class SentLog:
    """The sender's book: how many events of each type are safely in the broker's hands."""

    def __init__(self, file: Path) -> None:
        self._database = _open(file, "CREATE TABLE IF NOT EXISTS sent (type TEXT PRIMARY KEY, events INTEGER);")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()

    def add(self, types: Iterable[str]) -> None:
        """Note events that were sent, by their types."""
        add = "INSERT INTO sent VALUES (?, ?) ON CONFLICT (type) DO UPDATE SET events = events + excluded.events"
        with self._database:
            self._database.executemany(add, Counter(types).items())

    @property
    def counts(self) -> Counter[str]:
        """Events sent so far, by type."""
        return Counter(dict(self._database.execute("SELECT type, events FROM sent")))


def _open(file: Path, tables: str) -> sqlite3.Connection:
    database = sqlite3.connect(file)
    # Others read while one writes. Not waiting for the disk is safe when a process is killed, and not in a power cut:
    # a service that means it leaves `synchronous` as it is.
    database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {tables}")
    return database
