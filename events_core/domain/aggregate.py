"""Aggregates raise events; a unit of work collects them from what it has seen."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeGuard, TypeVar, cast

from events_core.messages import DomainEvent, IntegrationEvent, Message

__all__ = ["AggregateRoot", "Raised", "Seen", "next_place", "place_of"]

A = TypeVar("A")

_PENDING: Final = "_events_raised"
_LISTS: Final = ("messages", "events")
"""Where aggregates of other make keep what they raised."""
_LAST: Final = float("inf")


class Raised(NamedTuple):
    """An event and its place in the order of raising, over all aggregates."""

    place: float
    message: Message


class _Places:
    """Counts what was raised in this process, so that the events of several aggregates come in order."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = itertools.count().__next__


next_place: Final[Callable[[], int]] = _Places().next


class AggregateRoot:
    """Remembers the events that it raises until a unit of work collects them.

    It needs no `__init__`, and adds no field: dataclasses and objects that an ORM restores are aggregates as well.
    """

    def publish_event(self, event: DomainEvent | IntegrationEvent) -> None:
        """Raise an event. It is handled, or sent, only if the unit of work that has seen this aggregate commits."""
        pending: list[Raised] = vars(self).setdefault(_PENDING, [])
        pending.append(Raised(next_place(), event))

    def pop_events(self) -> list[Message]:
        """What was raised since the last time, in order; forgotten by the aggregate from now on."""
        return [each.message for each in _pop(self)]


class Seen:
    """The aggregates that a unit of work has to do with, each once, in the order in which they came."""

    def __init__(self) -> None:
        self._aggregates: dict[int, Any] = {}

    def add(self, aggregate: A) -> A:
        """Remember an aggregate, and give it back. Equal ones are told apart."""
        self._aggregates[id(aggregate)] = aggregate
        return aggregate

    def clear(self) -> None:
        """Forget the aggregates, and what they raised."""
        self.pop_events()
        self._aggregates.clear()

    def pop_events(self) -> list[Raised]:
        """What all of them raised since the last time, in order of raising.

        A foreign list says nothing of when: its events come last, in its own order.
        """
        raised = [each for aggregate in self._aggregates.values() for each in _pop(aggregate)]
        if len(raised) > 1:
            raised.sort(key=place_of)
        return raised


def place_of(raised: Raised) -> float:
    """What to sort by: messages themselves have no order."""
    return raised.place


def _pop(aggregate: object) -> list[Raised]:
    if isinstance(aggregate, AggregateRoot):
        return cast("list[Raised]", vars(aggregate).pop(_PENDING, []))
    pop: object = getattr(aggregate, "pop_events", None)
    if callable(pop):
        return _foreign(cast("Iterable[Message]", pop()))
    for name in _LISTS:
        pending: object = getattr(aggregate, name, None)
        if _is_pending(pending):
            popped = _foreign(pending)
            pending.clear()
            return popped
    return []


def _is_pending(value: object) -> TypeGuard[list[Message]]:
    """Whether it holds messages and nothing else: a chat may have `messages` that are its rows."""
    return isinstance(value, list) and all(isinstance(each, Message) for each in cast("list[object]", value))


def _foreign(messages: Iterable[Message]) -> list[Raised]:
    return [Raised(_LAST, each) for each in messages]
