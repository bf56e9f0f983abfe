import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

import brokers

ROOT: Final = Path(__file__).parents[2]
KILLED: Final = re.compile(r"^killed +(\w+) +pid (\d+) +after (\d+) events$", re.MULTILINE)


@contextmanager
def demo(url: str, *arguments: str) -> Generator["subprocess.Popen[str]"]:
    """The flight board on this broker; nothing that it started outlives the block."""
    command = [sys.executable, "-m", "examples.flight_board", "--bus", url, *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def row(printed: str, consumer: str) -> list[int]:
    """Sent, handled, dead, effects, retries, duplicates: as the last table has them."""
    totals = printed.rpartition("\nTotals ")[0].rpartition("\nTotals")[2]
    (line,) = [line for line in totals.splitlines() if consumer in line]
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", line)]


@pytest.mark.broker("rabbitmq")
def test_a_day_as_processes_ends_with_matching_totals_although_a_consumer_was_killed_at_work(
    rabbitmq: brokers.RabbitMQ,
) -> None:
    with demo(rabbitmq.url, "--seed", "7") as process:
        printed, _ = process.communicate(timeout=150)
    assert process.returncode == 0, printed
    assert "Totals OK: nothing lost, nothing counted twice." in printed
    ((victim, _pid, _handled),) = KILLED.findall(printed)
    assert len(re.findall(rf"^started +{victim} ", printed, re.MULTILINE)) == 2
    sent, handled, dead, effects, _retries, duplicates = row(printed, victim)
    assert (sent, effects) == (handled + dead, handled)
    assert duplicates, "nothing came again: the consumer was not at work when it was killed"


@pytest.mark.broker("rabbitmq")
def test_a_demo_that_is_ended_on_the_way_leaves_no_service_running(rabbitmq: brokers.RabbitMQ) -> None:
    with demo(rabbitmq.url) as process:
        assert process.stdout is not None
        started = [next(process.stdout) for _ in range(4)]
        process.terminate()
        process.communicate(timeout=30)
        for line in started:
            with pytest.raises(ProcessLookupError):
                os.kill(int(line.split()[3]), 0)
