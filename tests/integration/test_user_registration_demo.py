"""`python -m examples.user_registration` shows both services at work, and leaves nothing running."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Final

import httpx
import pytest
from rich.console import Console

import brokers
from events_core.cli import main as events
from examples.user_registration.demo.telling import Telling
from examples.user_registration.demo.totals import Totals

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "user_registration"
PATIENCE: Final = 150.0  # seconds
PEOPLE: Final = 40
REGISTERED: Final = PEOPLE + 7
STARTED: Final = re.compile(r"^started +(\w+) +pid (\d+)(?: +(http://\S+))?$", re.MULTILINE)
ALL_WELL: Final = Totals(registered=7, put=7, sent=7, noted=7, mails=7, mailed=7)


@contextmanager
def demo(*arguments: str) -> Generator["subprocess.Popen[str]"]:
    """The demonstration; nothing that it started outlives the block."""
    command = [sys.executable, "-m", "examples.user_registration", "--people", str(PEOPLE), *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """What it prints, to the line with these words."""
    assert process.stdout is not None
    printed = ""
    while words not in printed:
        printed += next(process.stdout)
    return printed


def check_story(printed: str) -> None:
    """People who registered, and two who could not, as a person sees it."""
    assert len(re.findall(r"^201  \w+ \w+ +\w+\+\w{4}@example\.org$", printed, re.MULTILINE)) == 6
    assert len(re.findall(r"^409  .* is registered already$", printed, re.MULTILINE)) == 2
    assert len(re.findall(r"^mail to ", printed, re.MULTILINE)) == 5


def check_outage(printed: str) -> None:
    assert f"/health: database up, {PEOPLE} events wait" in printed
    assert f"{REGISTERED - 1} people are registered, 6 mails have come." in printed


def check_totals(printed: str) -> None:
    totals = printed.rpartition("Totals OK")[0].rpartition("Totals")[2]
    assert re.findall(r"\d+", totals) == [str(REGISTERED)] * 6
    assert printed.rstrip().endswith("Totals OK: nothing lost, nothing sent twice.")


def check_nothing_runs(printed: str) -> None:
    processes = STARTED.findall(printed)
    assert {name for name, _, _ in processes} == {"user_service", "relay", "email_service"}
    for _name, pid, _url in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@pytest.mark.broker("rabbitmq")
@pytest.mark.broker("postgresql")
@pytest.mark.usefixtures("rabbitmq", "postgresql")  # it starts its own; without these there are none to be started
def test_nothing_is_lost_or_sent_twice_while_rabbitmq_is_away() -> None:
    with demo() as process:
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    check_story(printed)
    check_outage(printed)
    check_totals(printed)
    check_nothing_runs(printed)


@pytest.mark.broker("redis")
@pytest.mark.usefixtures("redis_broker")  # as above
def test_nothing_is_lost_or_sent_twice_while_redis_is_away_with_both_databases_in_sqlite(tmp_path: Path) -> None:
    with demo("--broker", "redis", "--database", f"sqlite+aiosqlite:///{tmp_path / 'users.db'}") as process:
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    check_story(printed)
    check_outage(printed)
    check_totals(printed)
    assert {each.name for each in tmp_path.glob("*.db")} == {"users.db", "users-mails.db"}


@pytest.mark.broker("redis")
def test_on_a_bus_and_a_database_that_are_there_it_runs_as_often_as_one_likes(
    redis_broker: brokers.Redis, tmp_path: Path
) -> None:
    places = ("--bus", redis_broker.url, "--database", f"sqlite:///{tmp_path / 'users.db'}")
    for _time in range(2):
        with demo(*places) as process:
            printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, printed
        check_story(printed)
        check_totals(printed)


@pytest.mark.broker("redis")
def test_it_goes_on_for_people_with_curl_until_it_is_stopped(redis_broker: brokers.Redis, tmp_path: Path) -> None:
    places = ("--bus", redis_broker.url, "--database", f"sqlite:///{tmp_path / 'users.db'}")
    with demo("--serve", *places) as process:
        printed = read_until(process, "Ctrl-C ends it")
        (url,) = [url for _, _, url in STARTED.findall(printed) if url]
        assert httpx.post(f"{url}/users", json={"name": "Ada", "email": "ada@example.org"}).status_code == 201
        read_until(process, "mail to ada@example.org")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, rest) == (0, "Stopped.\n")
    check_nothing_runs(printed)


@pytest.mark.broker("redis")
@pytest.mark.usefixtures("redis_broker")  # as above
def test_ended_on_the_way_it_leaves_nothing_running(tmp_path: Path) -> None:
    with demo("--broker", "redis", "--database", f"sqlite:///{tmp_path / 'users.db'}") as process:
        printed = read_until(process, "It is stopped.")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert rest.endswith("Stopped.\n")
    check_nothing_runs(printed)


def test_a_service_that_does_not_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    places = ("--bus", "nobody-has-this://", "--database", f"sqlite:///{tmp_path / 'users.db'}")
    with demo(*places) as process:
        printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "NOT OK: email_service ended with 1, before it was ready" in printed
    assert "no transport is installed for nobody-has-this" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(replace(ALL_WELL, put=6), id="an event was not put"),
        pytest.param(replace(ALL_WELL, sent=6), id="an event was not sent"),
        pytest.param(replace(ALL_WELL, noted=6), id="an event was not handled"),
        pytest.param(replace(ALL_WELL, mails=6, mailed=6), id="somebody got no mail"),
        pytest.param(replace(ALL_WELL, mails=8), id="somebody got two"),
        pytest.param(replace(ALL_WELL, put=8, sent=8, noted=8, mails=8), id="an event was put twice"),
        pytest.param(Totals(registered=0, put=0, sent=0, noted=0, mails=0, mailed=0), id="nothing happened"),
    ],
)
def test_totals_do_not_match_when(wrong: Totals) -> None:
    printed = StringIO()
    assert not Telling(Console(file=printed, width=110)).totals(wrong)
    assert "Totals MISMATCH" in printed.getvalue()


def test_the_picture_in_the_readme_is_drawn_from_the_topology(capsys: pytest.CaptureFixture[str]) -> None:
    assert "(topology.svg)" in (EXAMPLE / "README.md").read_text("utf-8")
    target = "examples.user_registration.email_service.picture:bus"
    assert events(["topology", target, "--format", "svg"]) == 0
    assert capsys.readouterr().out == (EXAMPLE / "topology.svg").read_text("utf-8")
