"""What a person sees: bars while it runs, on a terminal only, and at the end the board, the statistics, the totals."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from events_core import DeadLetter
from examples.flight_board.airport import Airport
from examples.flight_board.departure_board import Line
from examples.flight_board.statistics import Punctuality
from examples.flight_board.totals import Account, expected

REFRESH = 0.1  # seconds


@asynccontextmanager
async def bars(console: Console, airport: Airport) -> AsyncGenerator[None, None]:
    """Show, while the block runs, how far every consumer is behind the sender. Quiet unless on a terminal."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        drawing = asyncio.create_task(_draw(progress, airport))
        try:
            yield
        finally:
            drawing.cancel()


async def _draw(progress: Progress, airport: Airport) -> None:
    rows = [(service, progress.add_task(service.consumer.name, total=None)) for service in airport.services]
    while not progress.disable:
        sent = airport.sent_log.counts
        for service, row in rows:
            handled = service.books.handled
            # A window of sends counts when all of it was accepted, and consumers may be through with it by then.
            progress.update(row, total=max(handled, expected(service, sent)), completed=handled)
        await asyncio.sleep(REFRESH)


def show_departures(console: Console, lines: Iterable[Line]) -> None:
    table = _table("Last departures", "time", "flight", "from", "to", "status")
    for line in lines:
        table.add_row(f"{line.scheduled:%d %b %H:%M}", line.flight, line.origin, line.destination, line.status)
    console.print(table)


def show_statistics(console: Console, title: str, rows: Mapping[str, Punctuality]) -> None:
    table = _table(title, "", "departed", "cancelled", "delayed", "mean delay", numbers_from=1)
    for name, row in sorted(rows.items(), key=lambda item: -item[1].departed):
        counts = (f"{count:,}" for count in (row.departed, row.cancelled, row.delayed))
        table.add_row(name, *counts, f"{row.mean_delay:.0f} min")
    console.print(table)


def show_dead_letters(console: Console, consumer: str, letters: Iterable[DeadLetter]) -> None:
    for letter in letters:
        console.print(f"Dead letter of {consumer}: {letter.type} {letter.id}, attempts {letter.attempts}")
        console.print(f"  {letter.error}", markup=False)


def show_totals(console: Console, accounts: Sequence[Account]) -> bool:
    """Print every consumer's totals and the verdict, which is returned: whether all of them match."""
    columns = ("sent", "handled", "dead", "effects", "retries", "duplicates")
    table = _table("Totals", "consumer", *columns, "", numbers_from=1)
    for account in accounts:
        numbers = (f"{getattr(account, column):,}" for column in columns)
        table.add_row(account.consumer, *numbers, "OK" if account.matches else "MISMATCH")
    console.print(table)
    matches = all(account.matches for account in accounts)
    console.print("Totals OK: nothing lost, nothing counted twice." if matches else "Totals MISMATCH: see above.")
    return matches


def show_unfinished(console: Console, deadline: float, airport: Airport) -> None:
    """Say, of a run that took too long, where it hangs."""
    sent = airport.sent_log.counts
    console.print(f"Not finished after {deadline:.0f} s, with {sent.total():,} events surely sent:")
    for service in airport.services:
        handled, all_of_them = service.books.handled, expected(service, sent)
        console.print(f"  {service.consumer.name} handled {handled:,} of {all_of_them:,}")


def _table(title: str, *columns: str, numbers_from: int = 99) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index >= numbers_from else "left")
    return table
