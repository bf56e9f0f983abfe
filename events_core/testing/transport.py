"""What a `TestBus` sees of its transport: every event that was stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from events_core.errors import EventsError, UnknownContract
from events_core.memory import InMemoryTransport
from events_core.messages import DomainEvent, IntegrationEvent, JsonCodec, from_headers
from events_core.ports import Capabilities, Feed, Notify, Subscription, Topic, Transport, Wire

__all__ = ["RecordingTransport", "Sent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One event that the bus has sent."""

    topic: str
    event: IntegrationEvent | DomainEvent
    id: str
    key: str | None
    correlation_id: str | None
    causation_id: str | None
    headers: Mapping[str, str]
    """The sender's own."""


class RecordingTransport:
    """An in-memory transport that remembers what was stored through it, in order."""

    __slots__ = ("_transport", "stored")

    def __init__(self, transport: InMemoryTransport) -> None:
        self._transport: Transport = transport
        self.stored: list[tuple[str, Wire]] = []

    @property
    def capabilities(self) -> Capabilities:
        """Those of the in-memory transport."""
        return self._transport.capabilities

    async def open(self, notify: Notify) -> None:
        """Join the broker."""
        await self._transport.open(notify)

    async def close(self) -> None:
        """Leave the broker."""
        await self._transport.close()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Store, and remember what was stored."""
        results = await self.drop(topic, batch)
        self.stored += [(topic.name, wire) for wire, result in zip(batch, results, strict=True) if result is None]
        return results

    async def drop(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Store what this bus has not sent."""
        return await self._transport.publish(topic, batch)

    async def subscribe(self, subscription: Subscription) -> Feed:
        """As the in-memory transport."""
        return await self._transport.subscribe(subscription)

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """As the in-memory transport."""
        await self._transport.remove(subscription, types=types, force=force)


def sent(topic: str, wire: Wire) -> Sent:
    """A stored wire as the test's author wrote it; `UnknownContract` for an envelope of no class known here."""
    envelope = from_headers(wire.headers, wire.body, codec=JsonCodec(), fallback_id="")
    return Sent(
        topic=topic,
        event=_event(json.loads(wire.body)),
        id=envelope.id,
        key=envelope.key,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        headers=envelope.headers,
    )


def _event(payload: dict[str, object]) -> IntegrationEvent | DomainEvent:
    try:
        return IntegrationEvent.from_dict(payload)
    except UnknownContract:
        # A published domain event, where nobody here has the integration event of the same contract.
        return DomainEvent.from_dict(payload)
