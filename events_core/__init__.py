"""Typed events between services: at least once, in memory or on a broker, with the same promises."""

from events_core import errors
from events_core.errors import EventsError, Reject, RetryLater
from events_core.integration import (
    Consumer,
    Context,
    DeadLetter,
    EventHandlerConsumer,
    Health,
    InMemoryEventBus,
    IntegrationEventBus,
    Middleware,
    Registration,
    RetryPolicy,
    open_bus,
)
from events_core.messages import Command, DomainEvent, Envelope, IntegrationEvent, Message
from events_core.ports import Topic

__all__ = [
    "Command",
    "Consumer",
    "Context",
    "DeadLetter",
    "DomainEvent",
    "Envelope",
    "EventHandlerConsumer",
    "EventsError",
    "Health",
    "InMemoryEventBus",
    "IntegrationEvent",
    "IntegrationEventBus",
    "Message",
    "Middleware",
    "Registration",
    "Reject",
    "RetryLater",
    "RetryPolicy",
    "Topic",
    "errors",
    "open_bus",
]
