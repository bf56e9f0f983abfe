import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from events_core import Context
from examples.flight_board import board, timetable
from examples.flight_board.books import Books
from examples.flight_board.events import FlightCancelled, FlightDelayed, FlightDeparted
from examples.flight_board.operations import events_of
from examples.flight_board.totals import Account

ROOT: Final = Path(__file__).parents[2]
CANCELLED: Final = FlightCancelled(
    flight="EV4406", aircraft="EV4406", origin="JFK", destination="RIC", scheduled=datetime(2013, 1, 2, tzinfo=UTC)
)


def run_flight_board(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "examples.flight_board", *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=90)


def delivery(event_id: str, *, attempt: int = 1) -> Context:
    return Context(
        id=event_id,
        type=CANCELLED.type,
        version=CANCELLED.version,
        source="a test",
        time=None,
        key=None,
        attempt=attempt,
        correlation_id=event_id,
        causation_id=None,
        headers={},
        consumer="departure_board",
        topic="flights",
    )


def account(*, sent: int = 163, handled: int = 162, dead: int = 1, effects: int = 162) -> Account:
    return Account(consumer="delay_alerts", sent=sent, handled=handled, dead=dead, effects=effects)


def verdict(*accounts: Account) -> tuple[bool, str]:
    console = Console(file=io.StringIO(), width=100)
    matches = board.show_totals(console, accounts)
    assert isinstance(console.file, io.StringIO)
    return matches, console.file.getvalue()


def test_a_day_of_flights_ends_with_matching_totals_and_one_dead_letter_shown() -> None:
    finished = run_flight_board("--seed", "7")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Totals OK: nothing lost, nothing counted twice." in finished.stdout
    assert finished.stdout.count("Dead letter of ") == 1
    assert "Dead letter of delay_alerts: flights.delayed" in finished.stdout
    assert "MQ3944" in finished.stdout


def test_the_same_seed_tells_the_same_story() -> None:
    totals = [run_flight_board("--seed", "1").stdout.partition("Totals")[2] for _ in range(2)]
    assert totals[0] == totals[1] != ""


def test_a_broker_that_nobody_provides_is_an_error_and_not_a_match() -> None:
    assert run_flight_board("--bus", "nobody-has-this://").returncode != 0


def test_a_broker_of_unknown_name_is_refused_with_the_names_that_are_known() -> None:
    finished = run_flight_board("--broker", "pigeons")
    assert finished.returncode != 0
    assert "no broker is called 'pigeons'; there are: kafka, postgresql, rabbitmq, redis" in finished.stdout


def test_the_day_has_its_real_cancellations_and_delays() -> None:
    sent = Counter(event.type for flight in timetable.one_day() for event in events_of(flight))
    assert sent == {FlightDeparted.type: 838, FlightCancelled.type: 4, FlightDelayed.type: 163}


def test_flights_are_read_in_the_order_of_the_timetable() -> None:
    times = [flight.scheduled for flight in timetable.one_day()]
    assert len(times) == 842
    assert times == sorted(times)


def test_a_cancelled_flight_that_never_got_an_aircraft_goes_by_its_number() -> None:
    header, *_ = timetable.ONE_DAY.read_text(encoding="utf-8").splitlines()
    (flight,) = timetable.flights_in([header, "2013,1,2,NA,1540,NA,EV,4406,NA,JFK,RIC"])
    (event,) = events_of(flight)
    assert isinstance(event, FlightCancelled)
    assert event.aircraft == "EV4406"


def test_totals_match_when_every_event_is_handled_or_dead() -> None:
    matches, printed = verdict(account())
    assert matches
    assert "Totals OK" in printed


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(account(handled=161, effects=161), id="an event is lost"),
        pytest.param(account(dead=0), id="a dead letter is lost"),
        pytest.param(account(effects=163), id="an event takes effect twice"),
        pytest.param(account(effects=161), id="an effect is missing"),
        pytest.param(account(handled=163, effects=163), id="a dead letter was handled as well"),
    ],
)
def test_totals_do_not_match_when(wrong: Account) -> None:
    matches, printed = verdict(account(), wrong)
    assert not matches
    assert "MISMATCH" in printed


@pytest.fixture
def books(tmp_path: Path) -> Generator[Books]:
    with open_books(tmp_path) as books:
        yield books


def open_books(folder: Path) -> Books:
    books = Books(folder / "departure_board.sqlite", run="run")
    books.create("CREATE TABLE IF NOT EXISTS shown (flight TEXT)")
    return books


async def handle(books: Books, event_id: str, *, attempt: int = 1, error: Exception | None = None) -> None:
    async def show() -> None:
        with books.entry(event_id) as database:
            database.execute("INSERT INTO shown VALUES (?)", (CANCELLED.flight,))
            if error is not None:
                raise error

    await books(CANCELLED, delivery(event_id, attempt=attempt), show)


def shown(books: Books) -> int:
    return books.number("SELECT count(*) FROM shown")


@pytest.mark.anyio
async def test_an_event_that_is_delivered_twice_takes_effect_once(books: Books) -> None:
    for event_id in ("run.7", "run.8", "run.7"):
        await handle(books, event_id)
    assert shown(books) == books.handled == 2
    assert books.duplicates == 1


@pytest.mark.anyio
async def test_an_event_that_comes_again_after_its_process_was_killed_is_recognised(tmp_path: Path) -> None:
    with open_books(tmp_path) as before:
        await handle(before, "run.7")
        with open_books(tmp_path) as after:  # nobody closed the books of the killed process
            await handle(after, "run.7")
            assert (shown(after), after.handled, after.duplicates) == (1, 1, 1)


@pytest.mark.anyio
async def test_an_effect_without_its_event_is_not_kept(books: Books) -> None:
    with pytest.raises(ConnectionError):
        await handle(books, "run.7", error=ConnectionError())
    assert (shown(books), books.handled, books.retries) == (0, 0, 1)


@pytest.mark.anyio
async def test_an_event_left_over_from_an_earlier_run_has_no_effect_and_is_not_counted(books: Books) -> None:
    await handle(books, "yesterday.7")
    assert shown(books) == books.handled == books.duplicates == 0


@pytest.mark.anyio
async def test_only_the_last_failure_of_an_event_counts_as_given_up(books: Books) -> None:
    for attempt in (1, 2, 3, 3):  # the last one again: killed before the broker heard of it
        with pytest.raises(ConnectionError):
            await handle(books, "run.7", attempt=attempt, error=ConnectionError())
    assert (books.retries, books.given_up, books.handled) == (2, 1, 0)
