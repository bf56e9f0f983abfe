"""A small package of handlers, for scanning."""

from events_core.domain import listen
from tests.unit.handlers.listening_shop.messages import Opened

handled: list[str] = []


@listen
def unlock(event: Opened) -> None:
    handled.append("unlock")
