"""`python -m examples.online_chat` shows the chat at work, and leaves nothing running."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

import brokers
from events_core.cli import main as events
from tests.integration.chat_server import pubsub

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "online_chat"
PATIENCE: Final = 60.0  # seconds


@contextmanager
def demo(*arguments: str) -> Generator["subprocess.Popen[str]"]:
    """The demonstration; nothing that it started outlives the block."""
    command = [sys.executable, "-m", "examples.online_chat", *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def urls(printed: str) -> list[str]:
    return re.findall(r"^server \d +(http://\S+)$", printed, re.MULTILINE)


def answers(url: str) -> bool:
    with suppress(httpx.ConnectError):
        return httpx.get(f"{url}/health").status_code == 200
    return False


@pytest.mark.broker("redis")
def test_two_people_talk_over_two_servers_and_a_third_elsewhere_sees_nothing(redis_broker: brokers.Redis) -> None:
    with demo("--bus", pubsub(redis_broker)) as process:
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    assert len(set(urls(printed))) == 2
    assert "Ada and Ben saw each other join, talk and leave. Cleo saw nothing of it." in printed
    assert "(50 and 50 per server) and went; nobody is left behind." in printed
    assert printed.rstrip().endswith("OK: the servers drained and ended.")


@pytest.mark.broker("memory")
def test_without_redis_the_rooms_are_in_the_memory_of_one_server() -> None:
    with demo("--bus", "memory://") as process:
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    assert len(urls(printed)) == 1
    assert "(100 per server) and went; nobody is left behind." in printed


@pytest.mark.broker("redis")
def test_a_bus_that_cannot_be_reached_is_an_error() -> None:
    with demo("--bus", "redis+pubsub://127.0.0.1:1") as process:
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "NOT OK: a server ended with 1 before it was ready" in printed
    assert "Traceback" not in printed


@pytest.mark.broker("redis")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_goes_on_for_people_with_browsers_until_it_is_stopped(
    redis_broker: brokers.Redis, number: signal.Signals
) -> None:
    with demo("--bus", pubsub(redis_broker), "--serve") as process:
        assert process.stdout is not None
        printed = ""
        while "Ctrl-C ends it" not in printed:
            printed += next(process.stdout)
        servers = urls(printed)
        assert all(map(answers, servers))
        process.send_signal(number)
        rest, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, rest
        assert "Traceback" not in rest
        assert not any(map(answers, servers))


def test_the_picture_in_the_readme_is_drawn_from_the_topology(capsys: pytest.CaptureFixture[str]) -> None:
    assert "(topology.svg)" in (EXAMPLE / "README.md").read_text("utf-8")
    assert events(["topology", "examples.online_chat.picture:bus", "--format", "svg"]) == 0
    assert capsys.readouterr().out == (EXAMPLE / "topology.svg").read_text("utf-8")
