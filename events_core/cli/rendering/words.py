"""How people read what a flow promises."""

from typing import Final

from events_core.integration import Flow
from events_core.messages import Contract

__all__ = ["NOTHING", "contract", "delivery", "given_up", "retries"]

NOTHING: Final = "nothing is registered"

_UNITS: Final = ((3600, "h"), (60, "min"))


def contract(contract: Contract) -> str:
    """As in `users.user_registered v1`."""
    return f"{contract.type} v{contract.version}"


def delivery(flow: Flow) -> str:
    """Who gets the events, in the order of which."""
    if flow.broadcast:
        return "broadcast"
    return "ordered" if flow.ordered else "shared"


def retries(flow: Flow) -> str:
    """When a failed event is handled again: `at once, 1 s, 2 min`."""
    at_once = () if not flow.immediate else ("at once",) if flow.immediate == 1 else (f"{flow.immediate}x at once",)
    return ", ".join((*at_once, *map(_duration, flow.ladder))) or "never"


def given_up(flow: Flow) -> str:
    """What becomes of an event after the last attempt."""
    return "dead letter" if flow.dead_letters else "logged"


def _duration(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
