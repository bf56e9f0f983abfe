"""The values that cross the port between the core and an adapter."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from events_core.errors import ConfigurationError

if TYPE_CHECKING:
    from events_core.ports.transport import Feed

__all__ = [
    "MAX_EVENT_BYTES",
    "Alert",
    "AlertKind",
    "Capabilities",
    "Delivery",
    "Revoked",
    "Settled",
    "Settlement",
    "Source",
    "Subscription",
    "Topic",
    "Verdict",
    "Wire",
]

_TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,150}")
# A broker names what belongs to a subscription `<consumer>.<topic>` and one of these.
_RESERVED: Final = re.compile(r"\.(dead|retry|wait)(\.\d+)?$")

MAX_EVENT_BYTES: Final = 900 * 1024
"""An encoded event is at most this long, so that it fits every broker with its default settings."""


def _check_topic_name(name: object) -> None:
    if not isinstance(name, str) or not _TOPIC_NAME.fullmatch(name):
        raise ConfigurationError(f"a topic name is 1 to 150 of the characters A-Z a-z 0-9 _ . -, not {name!r}")
    if _RESERVED.search(name):
        advice = "choose a name that does not end in .dead, .retry or .wait, nor in one of these and a number"
        raise ConfigurationError(f"{name!r} could be taken for an object of another subscription; {advice}")


@dataclass(frozen=True, slots=True)
class Topic:
    """Where integration events are sent.

    `partitions` and `retention` (seconds) are for brokers that partition a topic or keep what was read; the others
    ignore them, as they promise more. `None` is the adapter's documented default.
    """

    name: str
    partitions: int | None = field(default=None, kw_only=True)
    retention: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_topic_name(self.name)
        if self.partitions is not None and self.partitions < 1:
            raise ConfigurationError(f"partitions is at least 1, not {self.partitions}")
        if self.retention is not None and self.retention <= 0:
            raise ConfigurationError(f"retention is in seconds, above 0, not {self.retention}")


class Source(Enum):
    """What a feed reads."""

    EVENTS = "events"
    """The durable subscription."""
    DEAD = "dead"
    """Its dead letters: accept discards, retry replays to this subscription only, release leaves them there."""
    BROADCAST = "broadcast"
    """Every event of the topic from now on, stored nowhere; settling does no more than free the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What the core asks an adapter to feed it."""

    consumer: str
    topic: Topic
    types: frozenset[str] = frozenset()
    """Added to the durable type set when subscribing, never taken from it. Broadcast feeds ignore it."""
    source: Source = Source.EVENTS
    delays: tuple[float, ...] = ()
    """The ladder's distinct steps in seconds, ascending. Brokers that delay by queue create one object each."""
    window: int = 100
    """How many deliveries the feed may have handed out and unsettled."""
    ordered: bool = False
    earliest: bool = False
    """Where the subscription is new: from the oldest event that the broker still has."""


@dataclass(frozen=True, slots=True)
class Wire:
    """An encoded event as it travels. Header names are unprefixed: the adapter spells CloudEvents attributes."""

    headers: Mapping[str, str]
    body: bytes
    key: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One envelope handed to one consumer, until it is settled."""

    wire: Wire
    origin: str
    """The broker's own name for this message, the same at every redelivery: the id of a foreign event without one."""
    starts: int
    """How often it was handed out, this time included; an upper bound. 0 where the broker cannot count."""
    lane: Hashable
    """What is revoked together and what ordered mode serialises: a partition, a stream, a queue."""
    token: object
    """The adapter's own: epoch and tag."""


class Verdict(Enum):
    """What becomes of a delivery."""

    ACCEPT = "accept"
    RETRY = "retry"
    DEAD_LETTER = "dead_letter"
    RELEASE = "release"
    """It never began: back to its subscription, nothing counted."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The decision about one delivery."""

    delivery: Delivery
    verdict: Verdict
    delay: float = 0.0
    """For a retry: one of the subscription's `delays`, or 0."""
    headers: Mapping[str, str] | None = None
    """For a retry or dead letter: all headers of the copy."""


class Settled(Enum):
    """What an adapter made of a settlement."""

    DONE = "done"
    LOST = "lost"
    """No longer ours: somebody else handles it."""
    AGAIN = "again"
    """Still ours and not settled (the copy was refused): the core settles it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a broker can do. The core refuses a registration that needs more."""

    durable: bool
    """Keeps events for a subscription whose processes are all down. Without it only broadcast can be registered."""
    ordered: bool
    earliest: bool
    counts_starts: bool
    """Knows how often it handed out a delivery, across processes."""
    hold_limit: float | None
    """Takes back, after this many seconds, what is neither settled nor renewed. None: holds are renewed by themselves."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """These lanes go to another process: begin nothing from them, settle or release what is held. The adapter waits."""

    feed: "Feed"
    lanes: frozenset[Hashable]


class AlertKind(Enum):
    """What an operator should know although the bus goes on."""

    RECREATED = "recreated"
    """The subscription had been deleted on the broker; it was made anew. What it held is lost."""
    GAP = "gap"
    """Events of a feed without durability were missed."""
    UNROUTED = "unrouted"
    """An event was accepted that no subscription wants."""
    CONNECTION_LOST = "connection lost"
    """A feed ended. The bus is subscribing anew."""
    STALLED = "stalled"
    """Events waited and the feed handed out none, for a minute or so. The bus is subscribing anew."""
    REFUSED = "refused"
    """A subscription could not be made or settled; the bus goes on trying."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Goes to the log and to `health()`."""

    kind: AlertKind
    subject: str
    detail: str
