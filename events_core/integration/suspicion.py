"""Crash loops: who is set apart, and who is convicted.

A broker's count of hand-outs is no proof: it charges everything that a dying process held, and clean hand-backs too. So
from half of the limit on a subscription hands out one delivery at a time; a suspect is marked, which starts its count
anew, and only what it is then charged alone convicts it.
"""

from enum import Enum

from events_core.integration import attributes
from events_core.ports import Delivery, Settlement, Verdict

__all__ = ["Suspicion", "convict", "judge", "mark"]


class Suspicion(Enum):
    """What the count of a delivery says."""

    NONE = "none"
    SUSPECT = "suspect"
    """Set it apart: mark it."""
    WATCHED = "watched"
    """Marked; to be handled alone."""
    GUILTY = "guilty"
    """It ended its process too often, and alone."""


def judge(delivery: Delivery, limit: int) -> Suspicion:
    """Look at one delivery; `limit` is the registration's `max_deliveries`."""
    unfinished = delivery.starts - 1
    if attributes.SUSPECT in delivery.wire.headers:
        charged = attributes.number(delivery.wire.headers, attributes.SUSPECT, 0) + max(unfinished, 0)
        return Suspicion.GUILTY if charged >= limit else Suspicion.WATCHED
    return Suspicion.SUSPECT if unfinished >= _half(limit) else Suspicion.NONE


def mark(delivery: Delivery, limit: int) -> Settlement:
    """Put it back as a suspect, charged with no more than half of the limit: the rest it has to earn alone."""
    charged = min(_half(limit), limit - 1)
    return Settlement(delivery, Verdict.RETRY, 0.0, _named(delivery) | {attributes.SUSPECT: str(charged)})


def convict(delivery: Delivery, limit: int, subscription: str, now: float) -> Settlement:
    """A dead letter: its handlers never got to say why."""
    moment = attributes.milliseconds(now)
    headers = {
        attributes.ATTEMPT: "1",
        attributes.FIRST_FAILURE: moment,
        **attributes.without(_named(delivery), (attributes.SUSPECT,)),
        attributes.LAST_FAILURE: moment,
        attributes.ORIGIN: subscription,
        attributes.REASON: "crash-loop",
        attributes.ERROR: f"ended its process {limit} times",
    }
    return Settlement(delivery, Verdict.DEAD_LETTER, headers=headers)


def _half(limit: int) -> int:
    return max(1, limit // 2)


def _named(delivery: Delivery) -> dict[str, str]:
    return {"id": delivery.origin, **delivery.wire.headers}
