"""`events outbox relay` as its own process."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from events_core.cli import main
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
