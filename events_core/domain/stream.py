"""The events of a unit of work that are for other services."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from events_core.domain.aggregate import next_place
from events_core.errors import ConfigurationError
from events_core.messages import DomainEvent, IntegrationEvent
from events_core.ports import AfterCommit, Outgoing, Sink, Topic

__all__ = ["EventStream", "RecordingSink"]

Topics = Topic | Mapping[type[IntegrationEvent] | type[DomainEvent], Topic]
_NOT_GIVEN: Final = (
    "this unit of work has no stream; give it stream=EventStream(sink, topics), "
    "or stream=EventStream() to drop such events"
)
_OF_NOBODY: Final = "no unit of work sends what is published on this stream; publish on its own one, uow.stream"
_NOWHERE: Final[Mapping[type[IntegrationEvent] | type[DomainEvent], Topic]] = MappingProxyType({})


class EventStream:
    """Collects the events that are to leave, and hands them to its sink when the unit of work commits.

    `topics` says where to: one topic, or one an event class. Without a sink the events go nowhere, on purpose. Each unit
    of work makes its own of the one that it is given, `uow.stream`; only there something can be published.
    """

    def __init__(self, sink: Sink | None = None, topics: Topics = _NOWHERE) -> None:
        self._sink = sink
        self._topics = topics
        self._refusal: str | None = _OF_NOBODY
        self._pending: list[tuple[float, Outgoing]] = []

    def anew(self) -> "EventStream":
        """One with the same sink and topics, and nothing to send yet: each unit of work has its own."""
        stream = EventStream(self._sink, self._topics)
        stream._refusal = None if self._refusal is _OF_NOBODY else self._refusal
        return stream

    @classmethod
    def refusing(cls) -> "EventStream":
        """That of a unit of work which was given none: an event for other services is an error there, not lost."""
        stream = cls()
        stream._refusal = _NOT_GIVEN
        return stream

    def publish(
        self,
        event: IntegrationEvent | DomainEvent,
        *,
        topic: Topic | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Have an event sent after the commit, behind what was raised before.

        `ConfigurationError` where nobody says to which topic.
        """
        self.publish_at(next_place(), event, topic=topic, key=key, headers=headers)

    def publish_at(
        self,
        place: float,
        event: IntegrationEvent | DomainEvent,
        *,
        topic: Topic | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """The same, in its place among those that were raised."""
        if self._refusal is not None:
            raise ConfigurationError(f"{type(event).__name__} is for other services, and {self._refusal}")
        if self._sink is not None:
            outgoing = Outgoing(topic=topic or self._topic_of(event), event=event, key=key, headers=headers)
            self._pending.append((place, outgoing))

    @property
    def pending(self) -> Sequence[Outgoing]:
        """What the next commit sends, in the order in which it was raised."""
        return [outgoing for _, outgoing in sorted(self._pending, key=itemgetter(0))]

    def stage(self) -> AfterCommit | None:
        """Hand everything to the sink, inside the transaction; what is left to do after it, if anything is."""
        pending = self.pending
        self.clear()
        return self._sink.stage(pending) if self._sink is not None and pending else None

    def clear(self) -> None:
        """Forget what was published: it is not sent."""
        self._pending.clear()

    def _topic_of(self, event: IntegrationEvent | DomainEvent) -> Topic:
        if isinstance(self._topics, Topic):
            return self._topics
        topic = self._topics.get(type(event))
        if topic is None:
            name = type(event).__name__
            raise ConfigurationError(f"no topic is named for {name}; add it: EventStream(sink, {{{name}: Topic(...)}})")
        return topic


class RecordingSink:
    """A sink that keeps, in order, what was sent: for tests, and for those who look themselves."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    @property
    def events(self) -> list[IntegrationEvent | DomainEvent]:
        """The events alone."""
        return [each.event for each in self.sent]

    def stage(self, outgoing: Sequence[Outgoing]) -> AfterCommit:
        """Take them once the transaction has committed."""

        def keep() -> None:
            self.sent.extend(outgoing)

        return keep
