"""`events outbox relay` as its own process."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from events_core.cli import main
from events_sqlalchemy.opening import store_from_url
from tests.adapters.sqlalchemy.shop import Database
from tests.faults.waiting import until

pytestmark = pytest.mark.anyio


def command(database: Database, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "events_core.cli", "outbox", "relay"),
        *("--database", database.url, "--bus", "memory://", "--progress", "0.1", *more),
    ]


@contextmanager
def started(command: list[str]) -> "Generator[subprocess.Popen[str]]":
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "database", ["aiosqlite", pytest.param("asyncpg", marks=pytest.mark.broker("postgresql"))], indirect=True
)
async def test_it_relays_shows_progress_and_ends_well_with_a_signal(database: Database, number: signal.Signals) -> None:
    await database.put(*(f"{n}" for n in range(100)))
    with started(command(database)) as process:

        async def is_empty() -> bool:
            return (await database.store.backlog(2e9)).waiting == 0

        await until(is_empty, within=60)
        process.send_signal(number)
        output, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, output
    assert "100 sent" in output.splitlines()[-1]
    assert "Traceback" not in output


def test_a_database_that_nobody_knows_is_a_failure_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["outbox", "relay", "--database", "oracle://x:secret@y/", "--bus", "memory://"]) == 1
    said = capsys.readouterr().err
    assert "postgresql://" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--progress", "0"], "progress"),
        (["--deadline", "-1"], "deadline"),
        (["--database", "postgresql://shop:secret@db:port/shop"], "URL cannot be read"),
        (["--database", "sqlite:////nowhere/at/all.db"], "no database in /nowhere/at/all.db"),
    ],
)
def test_what_cannot_work_is_told_at_once_and_in_a_line(
    capsys: pytest.CaptureFixture[str], wrong: list[str], said: str
) -> None:
    arguments = ["outbox", "relay", "--database", "sqlite://", "--bus", "memory://", *wrong]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "secret" not in error


@pytest.mark.parametrize("database", [pytest.param("asyncpg", marks=pytest.mark.broker("postgresql"))], indirect=True)
async def test_the_word_of_libpq_for_tls_is_understood_by_asyncpg(database: Database) -> None:
    await database.put("a")
    async with store_from_url(f"{database.url}{'&' if '?' in database.url else '?'}sslmode=disable") as store:
        assert (await store.backlog(2e9)).waiting == 1


@pytest.mark.parametrize("database", [pytest.param("asyncpg", marks=pytest.mark.broker("postgresql"))], indirect=True)
async def test_a_signal_is_heard_while_the_database_does_not_answer(database: Database) -> None:
    async with database.engine.connect() as connection:
        await connection.execute(text("LOCK TABLE events_outbox IN ACCESS EXCLUSIVE MODE"))
        with started(command(database, "--deadline", "0.5")) as process:

            async def is_stuck() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events_outbox'::regclass"
                return bool((await connection.execute(text(waiting))).scalar())

            await until(is_stuck, within=20)
            process.send_signal(signal.SIGTERM)
            output, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, output
