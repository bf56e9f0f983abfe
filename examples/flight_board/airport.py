"""The services of one run, as the books in one folder show them; whichever process they run in."""

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from events_core import DeadLetter, IntegrationEventBus, Middleware, Registration
from examples.flight_board.books import QUICK_RETRY, Books, SentLog
from examples.flight_board.delay_alerts import DelayAlerts, Gateway
from examples.flight_board.departure_board import DepartureBoard
from examples.flight_board.events import FLIGHTS
from examples.flight_board.statistics import Statistics
from examples.flight_board.totals import Account, Service, close, expected

CONSUMERS: Final = ("departure_board", "delay_alerts", "statistics")
"""Each is a property of `Airport`, the name of a consumer on the bus, and the name of its file."""


class Airport:
    """One run: `run` starts the ids of its events, `seed` decides when the gateway is down.

    Books are opened when they are first asked for: the process of one service has its own open, and no other's.
    """

    def __init__(self, folder: Path, *, run: str, seed: int) -> None:
        self.folder = folder
        self.run = run
        self.seed = seed
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    @cached_property
    def sent_log(self) -> SentLog:
        return self._open.enter_context(SentLog(self.folder / "operations.sqlite"))

    @cached_property
    def departure_board(self) -> DepartureBoard:
        return DepartureBoard(self._books("departure_board"))

    @cached_property
    def delay_alerts(self) -> DelayAlerts:
        return DelayAlerts(self._books("delay_alerts"), Gateway(self.seed))

    @cached_property
    def statistics(self) -> Statistics:
        return Statistics(self._books("statistics"))

    @property
    def services(self) -> tuple[Service, ...]:
        """All that consume."""
        return tuple(map(self.service, CONSUMERS))

    def service(self, name: str) -> Service:
        """The one of this name, out of `CONSUMERS`."""
        service: Service = getattr(self, name)
        return service

    @property
    def is_through(self) -> bool:
        """Whether every event sent so far was handled, or failed for the last time, at every consumer."""
        sent = self.sent_log.counts
        return all(each.books.handled + each.books.given_up >= expected(each, sent) for each in self.services)

    async def dead_letters(self, bus: IntegrationEventBus) -> dict[str, list[DeadLetter]]:
        """This run's, of each consumer."""
        found: dict[str, list[DeadLetter]] = {}
        for name in CONSUMERS:
            letters = await bus.dead_letters(name, FLIGHTS).list(limit=10_000)
            found[name] = [each for each in letters if each.id.startswith(f"{self.run}.")]
        return found

    def accounts(self, letters: dict[str, list[DeadLetter]]) -> list[Account]:
        """The books of every consumer, closed."""
        sent = self.sent_log.counts
        return [close(each, sent, [letter.id for letter in letters[each.consumer.name]]) for each in self.services]

    def _books(self, name: str) -> Books:
        return self._open.enter_context(Books(self.folder / f"{name}.sqlite", run=self.run))


def registration(service: Service, *middleware: Middleware) -> Registration:
    """How each service consumes the flights: through its books."""
    return Registration(service.consumer, FLIGHTS, retry=QUICK_RETRY, middleware=(service.books, *middleware))
