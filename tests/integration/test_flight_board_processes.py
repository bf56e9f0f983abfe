import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import brokers

ROOT: Final = Path(__file__).parents[2]
KILLED: Final = re.compile(r"^killed +(\w+) +pid (\d+) +after (\d+) events$", re.MULTILINE)


def play_as_processes(url: str, *arguments: str) -> tuple[int, str]:
    """The exit code and all that was printed; nothing that it started outlives this."""
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
    ) as demo:
        try:
            printed, _ = demo.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(demo.pid, signal.SIGKILL)
            raise
    return demo.returncode, printed


def row(printed: str, consumer: str) -> list[int]:
    """Sent, handled, dead, effects, retries, duplicates: as the last table has them."""
    totals = printed.rpartition("\nTotals ")[0].rpartition("\nTotals")[2]
    (line,) = [line for line in totals.splitlines() if consumer in line]
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", line)]


@pytest.mark.broker("rabbitmq")
@pytest.mark.parametrize("seed", ["2013", "7"])
def test_a_day_as_processes_ends_with_matching_totals_although_a_consumer_was_killed_at_work(
    rabbitmq: brokers.RabbitMQ, seed: str
) -> None:
    code, printed = play_as_processes(rabbitmq.url, "--seed", seed)
    assert code == 0, printed
    assert "Totals OK: nothing lost, nothing counted twice." in printed
    ((victim, _pid, _handled),) = KILLED.findall(printed)
    assert len(re.findall(rf"^started +{victim} ", printed, re.MULTILINE)) == 2
    sent, handled, dead, effects, _retries, duplicates = row(printed, victim)
    assert (sent, effects) == (handled + dead, handled)
    assert duplicates, "nothing came again: the consumer was not at work when it was killed"
