"""Sends a claimed batch: as much at a time as the order within each key allows."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from events_core.clock import Clock
from events_core.errors import (
    BrokerSetupError,
    BusClosed,
    EventsError,
    NotConnected,
    NotStarted,
    OutcomeUnknown,
    SendRejected,
)
from events_core.integration import IntegrationEventBus
from events_core.ports import Stored, Topic

__all__ = ["Outcomes", "Sending"]

_TROUBLE: Final = (NotConnected, OutcomeUnknown, BusClosed, BrokerSetupError, NotStarted)
"""Not the event's fault: it is sent again, with the same id, as soon as the broker is back."""
_PATIENCE: Final = 0.25
"""For how many seconds after the first round of a batch further ones begin: events of other keys wait for its end."""
_LASTING: Final = 5
"""After so many rounds in a row without any answer, a topic's events step aside."""


@dataclass(slots=True)
class Outcomes:
    """What became of a batch. Events in none of these were not sent: one of their key before them was not."""

    sent: list[Stored] = field(default_factory=list[Stored])
    refused: list[tuple[Stored, str]] = field(default_factory=list[tuple[Stored, str]])
    """By their own fault."""
    deferred: list[tuple[Stored, str]] = field(default_factory=list[tuple[Stored, str]])
    """Their topic is in trouble while others may not be; to be tried again later, however often."""
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
        self._unanswered: dict[str, int] = {}

    async def send(self, events: Sequence[Stored], outcomes: Outcomes, *, go_on: Callable[[], bool]) -> None:
        """Send, and note in `outcomes` what became of each round as soon as it ended; unless `go_on`, begin no further one."""
        by_topic: dict[str, list[Stored]] = {}
        for event in events:
            by_topic.setdefault(event.topic, []).append(event)
        await asyncio.gather(*(self._send_topic(name, each, outcomes, go_on) for name, each in by_topic.items()))

    async def _send_topic(
        self, name: str, events: Sequence[Stored], outcomes: Outcomes, go_on: Callable[[], bool]
    ) -> None:
        until: float | None = None
        while events:
            this_round, later = _split(events)
            blocked = await self._send_round(name, this_round, outcomes)
            if until is None:
                until = self._clock.monotonic() + _PATIENCE
            if not go_on() or self._clock.monotonic() >= until:
                return
            events = [each for each in later if each.key not in blocked]

    async def _send_round(self, name: str, events: Sequence[Stored], outcomes: Outcomes) -> set[str | None]:
        """The keys of which nothing more can be sent now."""
        readable = [event for event in events if event.envelope is not None]
        unreadable = [event for event in events if event.envelope is None]
        outcomes.refused += [(event, event.problem) for event in unreadable]
        answers = await self._send_to(name, readable)
        lasting = self._lasts(name, answers)
        blocked = {event.key for event in unreadable}
        for event, answer in zip(readable, answers, strict=True):
            if answer is None:
                outcomes.sent.append(event)
                continue
            blocked.add(event.key)
            said = f"{type(answer).__name__}: {answer}"
            if lasting or isinstance(answer, SendRejected):
                outcomes.deferred.append((event, said))
            elif isinstance(answer, _TROUBLE):
                outcomes.trouble = answer
            else:
                outcomes.refused.append((event, said))
        return blocked

    def _lasts(self, name: str, answers: Sequence[EventsError | None]) -> bool:
        """Whether the broker has not answered for this topic for long; a broker that is not there is another matter."""
        if not answers or not all(isinstance(each, OutcomeUnknown) for each in answers):
            self._unanswered.pop(name, None)
            return False
        self._unanswered[name] = self._unanswered.get(name, 0) + 1
        return self._unanswered[name] > _LASTING

    async def _send_to(self, name: str, events: Sequence[Stored]) -> Sequence[EventsError | None]:
        envelopes = [event.envelope for event in events if event.envelope is not None]
        if not envelopes:
            return ()
        try:
            topic = self._topics.get(name) or Topic(name)
            return await self._bus.send_envelopes(topic, envelopes, timeout=self._timeout)
        except EventsError as error:
            return [error] * len(envelopes)


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
