"""Nothing lost, nothing counted twice: what every consumer did is closed against what was sent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from events_core import Consumer
from examples.flight_board.books import Books


class Service(Protocol):
    """A consumer and what it leaves behind."""

    @property
    def consumer(self) -> Consumer:
        """What is registered at the bus."""
        ...

    @property
    def books(self) -> Books:
        """Which events it was through with."""
        ...

    @property
    def effects(self) -> int:
        """How many effects there are, counted in what they left, apart from the events."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One consumer's closed books."""

    consumer: str
    sent: int
    handled: int
    dead: int
    effects: int
    retries: int = 0
    duplicates: int = 0

    @property
    def matches(self) -> bool:
        """Every event sent was handled or is a dead letter, and every one handled took effect exactly once."""
        return self.sent == self.handled + self.dead and self.effects == self.handled


def expected(service: Service, sent: Mapping[str, int]) -> int:
    """How many of the events sent, counted by type, this consumer is to see."""
    return sum(sent.get(event.type, 0) for event in service.consumer.events)


def close(service: Service, sent: Mapping[str, int], dead_letters: Collection[str]) -> Account:
    """Draw the line. `dead_letters` are the ids of this consumer's dead letters."""
    books = service.books
    return Account(
        consumer=service.consumer.name,
        sent=expected(service, sent),
        handled=books.handled,
        dead=sum(1 for event_id in set(dead_letters) if not books.has_handled(event_id)),
        effects=service.effects,
        retries=books.retries,
        duplicates=books.duplicates,
    )
