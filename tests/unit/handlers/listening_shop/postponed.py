from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from events_core.domain import OnError, listen
from tests.unit.handlers.listening_shop import handled, unlock
from tests.unit.handlers.listening_shop.messages import Closed, Open, Opened

if TYPE_CHECKING:
    from events_core.domain import Emit, UnitOfWork

__all__ = ["Announce", "again", "count", "open_up", "unlock", "write_down"]

N = TypeVar("N")


@listen
def open_up(command: Open, emit: Emit, uow: UnitOfWork | None = None) -> str:
    emit(Opened())
    return "open"


@listen(on_error=OnError.LOG)
class Announce:
    def __init__(self, name: str = "shop") -> None:
        self._name = name

    def handle(self, event: Opened | Closed) -> None:
        handled.append(f"announce {type(event).__name__} of the {self._name}")
        raise OSError("the loudspeaker is broken")


class Counter:
    """Not marked itself: its object below is."""

    def __call__(self, event: Closed) -> None:
        handled.append("count")


def write(event: Closed, book: str) -> None:
    handled.append(f"written into the {book}")


count = listen(Counter())
write_down = listen(partial(write, book="diary"))
again = count
