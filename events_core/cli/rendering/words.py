"""How people read what a route promises."""

from typing import Final

from events_core.integration import Route
from events_core.messages import Contract

__all__ = ["NOTHING", "contract", "delivery", "given_up", "retries"]

NOTHING: Final = "nothing is registered"

_UNITS: Final = ((3600, "h"), (60, "min"))


def contract(contract: Contract) -> str:
    """As in `users.user_registered v1`."""
    return f"{contract.type} v{contract.version}"


def delivery(route: Route) -> str:
    """Who gets the events, in the order of which."""
    if route.broadcast:
        return "broadcast"
    return "ordered" if route.ordered else "shared"


def retries(route: Route) -> str:
    """When a failed event is handled again: `at once, 1 s, 2 min`."""
    at_once = () if not route.immediate else ("at once",) if route.immediate == 1 else (f"{route.immediate}x at once",)
    return ", ".join((*at_once, *map(_duration, route.ladder))) or "never"


def given_up(route: Route) -> str:
    """What becomes of an event after the last attempt."""
    return "dead letter" if route.dead_letters else "logged"


def _duration(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
