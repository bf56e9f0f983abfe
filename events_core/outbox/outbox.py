"""Putting events beside the state that they are about: one transaction for both."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from events_core.clock import Clock, SystemClock
from events_core.errors import ConfigurationError, EventTooLarge
from events_core.integration.sealing import seal
from events_core.messages import Codec, DomainEvent, IntegrationEvent, JsonCodec, Sealer
from events_core.ports import MAX_EVENT_BYTES, OutboxWriter, Outgoing, Topic, Waiting

__all__ = ["Outbox", "OutboxOptions"]


class OutboxOptions(TypedDict, total=False):
    """What every outbox takes beside its store."""

    codec: Codec
    """How events become bytes; JSON by default. It has to be that of the buses that consume them."""
    clock: Clock
    new_id: Callable[[], str]
    """Makes event ids; 32 random hexadecimal digits by default."""


class Outbox:
    """The outbox's end of one transaction: what is put leaves if the transaction commits, and only then.

    It does no I/O and commits nothing, so that one class serves synchronous and asynchronous code. `source` names who
    sends, as a URI reference ("users-service").
    """

    def __init__(self, writer: OutboxWriter, *, source: str, **options: Unpack[OutboxOptions]) -> None:
        self._writer = writer
        self._sealer = Sealer(options.get("codec") or JsonCodec(), source)
        self._clock: Clock = options.get("clock") or SystemClock()
        self._new_id = options.get("new_id") or _random_id

    def put(
        self,
        topic: Topic,
        event: IntegrationEvent | DomainEvent,
        *,
        id: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        at: datetime | None = None,
    ) -> str:
        """Let an event leave when the transaction commits, not before `at`; return its id.

        Inside a handler the event inherits correlation, causation and trace context. Events of one key leave in the order
        in which they were put; one with `at` when its time comes, in no order with the others.

        Raises:
            MessageError: the event cannot travel; nothing was put.
            EventTooLarge: it exceeds the limit that all brokers share; nothing was put.
        """
        event_id = id or self._new_id()
        now = self._clock.time()
        envelope = seal(self._sealer, event, id=event_id, time=now, key=key, headers=headers)
        if len(envelope.body) > MAX_EVENT_BYTES:
            taken = f"the event takes {len(envelope.body)} bytes, more than {MAX_EVENT_BYTES}"
            raise EventTooLarge(f"{taken}; put a reference instead", event_id=event_id)
        self._writer.write(Waiting(topic.name, envelope, now, None if at is None else _moment(at)))
        return event_id

    def stage(self, outgoing: Sequence[Outgoing]) -> None:
        """Put each: so the outbox is the sink of a unit of work."""
        for each in outgoing:
            self.put(each.topic, each.event, key=each.key, headers=each.headers)


def _moment(at: datetime) -> float:
    if at.tzinfo is None:
        raise ConfigurationError(f"at={at.isoformat()} has no time zone; give it one, as in datetime.now(UTC)")
    return at.timestamp()


def _random_id() -> str:
    return os.urandom(16).hex()
