"""Sends a claimed batch: as much at a time as the order within each key allows."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from events_core.clock import Clock
from events_core.errors import BusClosed, ConfigurationError, EventsError, NotConnected, OutcomeUnknown
from events_core.integration import IntegrationEventBus
from events_core.messages import Envelope
from events_core.ports import Stored, Topic

__all__ = ["Outcomes", "Sending"]

_TROUBLE: Final = (NotConnected, OutcomeUnknown, BusClosed)
"""Not the event's fault: it is sent again, with the same id, as soon as the broker is back."""


@dataclass(slots=True)
class Outcomes:
    """What became of a batch. Events in none of these were not sent: one of their key before them was not."""

    sent: list[Stored] = field(default_factory=list[Stored])
    refused: list[tuple[Stored, str]] = field(default_factory=list[tuple[Stored, str]])
    trouble: EventsError | None = None
    """Why some events are still to be sent: the broker, not they."""


class Sending:
    """Sends events of one key one after the other, each after the one before was confirmed, and all keys at once.

    Events without a key are keys of their own.
    """

    def __init__(self, bus: IntegrationEventBus, topics: Iterable[Topic], *, clock: Clock, timeout: float) -> None:
        self._bus = bus
        self._topics: dict[str, Topic] = {topic.name: topic for topic in topics}
        self._clock = clock
        self._timeout = timeout

    async def send(self, events: Sequence[Stored], *, within: float) -> Outcomes:
        """Send; after so many seconds begin no further round."""
        deadline = self._clock.monotonic() + within
        outcomes = Outcomes()
        while events and self._clock.monotonic() < deadline:
            this_round, later = _split(events)
            blocked = await self._send_round(this_round, outcomes)
            events = [each for each in later if (each.topic, each.key) not in blocked]
        return outcomes

    async def _send_round(self, events: Sequence[Stored], outcomes: Outcomes) -> set[tuple[str, str | None]]:
        by_topic: dict[str, list[tuple[Stored, Envelope]]] = {}
        blocked: set[tuple[str, str | None]] = set()
        for event in events:
            if event.envelope is None:
                outcomes.refused.append((event, event.problem))
                blocked.add((event.topic, event.key))
            else:
                by_topic.setdefault(event.topic, []).append((event, event.envelope))
        answers = await asyncio.gather(*(self._send_to(name, batch) for name, batch in by_topic.items()))
        for (event, _), answer in _pairs(by_topic, answers):
            if answer is None:
                outcomes.sent.append(event)
                continue
            blocked.add((event.topic, event.key))
            if isinstance(answer, _TROUBLE):
                outcomes.trouble = answer
            else:
                outcomes.refused.append((event, f"{type(answer).__name__}: {answer}"))
        return blocked

    async def _send_to(self, name: str, batch: Sequence[tuple[Stored, Envelope]]) -> Sequence[EventsError | None]:
        try:
            topic = self._topics.get(name) or Topic(name)
        except ConfigurationError as error:
            return [error] * len(batch)
        return await self._bus.send_envelopes(topic, [envelope for _, envelope in batch], timeout=self._timeout)


def _split(events: Sequence[Stored]) -> tuple[list[Stored], list[Stored]]:
    """The first of each key, and the rest, in order."""
    first: list[Stored] = []
    rest: list[Stored] = []
    seen: set[tuple[str, str]] = set()
    for event in events:
        if event.key is None:
            first.append(event)
        elif (lane := (event.topic, event.key)) in seen:
            rest.append(event)
        else:
            seen.add(lane)
            first.append(event)
    return first, rest


def _pairs(
    by_topic: Mapping[str, Sequence[tuple[Stored, Envelope]]], answers: Sequence[Sequence[EventsError | None]]
) -> Iterable[tuple[tuple[Stored, Envelope], EventsError | None]]:
    for batch, results in zip(by_topic.values(), answers, strict=True):
        yield from zip(batch, results, strict=True)
