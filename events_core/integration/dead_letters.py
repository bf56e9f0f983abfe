"""Dead letters: listed, shown, replayed, discarded; the same on every broker, over a feed that reads them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from events_core.errors import ConfigurationError, OutcomeUnknown, UnknownDeadLetter
from events_core.integration import attributes
from events_core.messages import BUS_PREFIX, CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Delivery, Feed, Settled, Settlement, Source, Subscription, Topic, Transport, Verdict

__all__ = ["DeadLetter", "DeadLetters"]

_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that was given up, with what is known of why."""

    id: str
    """The event's id."""
    type: str | None
    """None where the message does not say."""
    version: int | None
    source: str
    key: str | None
    origin: str
    """The subscription that gave it up, as `<consumer>.<topic>`."""
    reason: str
    error: str
    """The class and message of the last failure."""
    traceback: str
    """The end of it, up to 8 KiB; empty for a crash loop."""
    attempts: int
    first_failure: datetime
    last_failure: datetime
    headers: Mapping[str, str]
    """The sender's own."""
    body: bytes = field(repr=False)


class DeadLetters:
    """The dead letters of one subscription."""

    __slots__ = ("_consumer", "_topic", "_transport")

    def __init__(self, transport: Transport, consumer: str, topic: Topic) -> None:
        self._transport = transport
        self._consumer = consumer
        self._topic = topic

    async def list(self, limit: int = 100) -> Sequence[DeadLetter]:
        """The oldest ones, each event once; looking changes nothing."""
        if limit < 1:
            raise ConfigurationError(f"limit counts dead letters, from 1 on, not {limit}")
        feed = await self._open()
        letters: dict[str, DeadLetter] = {}
        try:
            while len(letters) < limit and (deliveries := await feed.receive(_PAGE)):
                for delivery in deliveries:
                    letter = _letter(delivery)
                    letters.setdefault(letter.id, letter)
                await feed.settle([Settlement(each, Verdict.RELEASE) for each in deliveries])
        finally:
            await feed.stop()
        return [*letters.values()][:limit]

    async def get(self, id: str) -> DeadLetter:
        """The dead letter of this event id, or `UnknownDeadLetter`."""
        feed = await self._open()
        try:
            while deliveries := await feed.receive(_PAGE):
                await feed.settle([Settlement(each, Verdict.RELEASE) for each in deliveries])
                found = next((letter for each in deliveries if (letter := _letter(each)).id == id), None)
                if found is not None:
                    return found
        finally:
            await feed.stop()
        raise UnknownDeadLetter([id])

    async def replay(self, *ids: str) -> int:
        """Hand these events to this subscription again, as first attempts of the handlers that have not succeeded.

        Returns how many. Where an id is unknown the others are replayed, then `UnknownDeadLetter` is raised.
        `OutcomeUnknown` if the broker did not confirm one: it is still there, and may have been handed out as well.
        """
        return await self._settle(ids, _replay)

    async def discard(self, *ids: str) -> int:
        """Delete these for good. Returns how many; unknown ids as in `replay`."""
        return await self._settle(ids, _discard)

    async def _settle(self, ids: Sequence[str], decide: Callable[[Delivery], Settlement]) -> int:
        wanted = frozenset(ids)
        settled: set[str] = set()
        feed = await self._open()
        try:
            while deliveries := await feed.receive(_PAGE):
                batch = [_one_of(each, wanted, settled, decide) for each in deliveries]
                _check(batch, await feed.settle(batch))
        finally:
            await feed.stop()
        if missing := [each for each in ids if each not in settled]:
            raise UnknownDeadLetter(missing)
        return len(settled)

    async def _open(self) -> Feed:
        subscription = Subscription(consumer=self._consumer, topic=self._topic, source=Source.DEAD, window=_PAGE)
        return await self._transport.subscribe(subscription)


def _one_of(
    delivery: Delivery, wanted: Collection[str], settled: set[str], decide: Callable[[Delivery], Settlement]
) -> Settlement:
    id_ = _id(delivery)
    if id_ not in wanted:
        return Settlement(delivery, Verdict.RELEASE)
    # A crash between a copy and its settlement leaves an event here twice: one replay is enough.
    seen = id_ in settled
    settled.add(id_)
    return _discard(delivery) if seen else decide(delivery)


def _check(batch: Sequence[Settlement], results: Sequence[Settled]) -> None:
    for settlement, result in zip(batch, results, strict=True):
        if result is Settled.AGAIN:
            advice = "list() shows whether it is still there; replay it again, which counts nothing twice"
            raise OutcomeUnknown(f"the broker did not confirm the replay; {advice}", event_id=_id(settlement.delivery))


def _replay(delivery: Delivery) -> Settlement:
    return Settlement(delivery, Verdict.RETRY, 0.0, attributes.for_replay(delivery.wire.headers))


def _discard(delivery: Delivery) -> Settlement:
    return Settlement(delivery, Verdict.ACCEPT)


def _id(delivery: Delivery) -> str:
    return delivery.wire.headers.get("id") or delivery.origin


def _letter(delivery: Delivery) -> DeadLetter:
    headers = delivery.wire.headers
    return DeadLetter(
        id=_id(delivery),
        type=headers.get("type"),
        version=attributes.number(headers, "eventversion", 0) or None,
        source=headers.get("source", ""),
        key=headers.get("partitionkey"),
        origin=headers.get(attributes.ORIGIN, ""),
        reason=headers.get(attributes.REASON, ""),
        error=headers.get(attributes.ERROR, ""),
        traceback=headers.get(attributes.TRACEBACK, ""),
        attempts=attributes.number(headers, attributes.ATTEMPT, 1),
        first_failure=_moment(headers, attributes.FIRST_FAILURE),
        last_failure=_moment(headers, attributes.LAST_FAILURE),
        headers={n: v for n, v in headers.items() if n not in CLOUDEVENTS_ATTRIBUTES and not n.startswith(BUS_PREFIX)},
        body=delivery.wire.body,
    )


def _moment(headers: Mapping[str, str], name: str) -> datetime:
    return datetime.fromtimestamp(attributes.number(headers, name, 0) / 1000, UTC)
