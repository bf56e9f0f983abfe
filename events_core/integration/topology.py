"""What a bus is made of, as a value: which consumer gets which events of which topic, and what follows a failure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from events_core.integration.registration import Registration
from events_core.messages import Contract

__all__ = ["Flow", "Topology"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The way of a topic's events to one consumer."""

    topic: str
    consumer: str
    events: tuple[Contract, ...]
    """What the consumer wants, by type and version, in the order of its registration."""
    immediate: int
    """Retries at once, before the ladder."""
    ladder: tuple[float, ...]
    """Seconds before each later retry."""
    dead_letters: bool
    """What is given up is kept as a dead letter; otherwise it is logged."""
    broadcast: bool
    """Every process gets its own copy, stored nowhere. Otherwise processes share the events."""
    ordered: bool

    @classmethod
    def of(cls, registration: Registration) -> Self:
        """What this registration asks for."""
        return cls(
            topic=registration.topic.name,
            consumer=registration.consumer.name,
            events=tuple(Contract(each.type, each.version) for each in registration.event_types),
            immediate=registration.retry.immediate,
            ladder=registration.retry.delays,
            dead_letters=not registration.broadcast,
            broadcast=registration.broadcast,
            ordered=registration.ordered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All flows of one bus, in order of registration."""

    source: str
    """Who the bus sends as."""
    flows: tuple[Flow, ...]

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are consumed, each once, in order."""
        return _each_once(flow.topic for flow in self.flows)

    @property
    def consumers(self) -> tuple[str, ...]:
        """The consumers, each once, in order."""
        return _each_once(flow.consumer for flow in self.flows)

    @property
    def events(self) -> tuple[Contract, ...]:
        """What is consumed, each contract once, in order."""
        return tuple(dict.fromkeys(contract for flow in self.flows for contract in flow.events))

    def of_topic(self, topic: str) -> tuple[Flow, ...]:
        """The flows that begin at this topic."""
        return tuple(flow for flow in self.flows if flow.topic == topic)


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
