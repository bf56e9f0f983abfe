"""Typed messages inside a service and between services, in memory or on a broker, with the same promises."""

from events_core import errors
from events_core.domain import AggregateRoot, AsyncMessageBus, AsyncUnitOfWork, MessageBus, UnitOfWork
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
    "AggregateRoot",
    "AsyncMessageBus",
    "AsyncUnitOfWork",
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
    "MessageBus",
    "Middleware",
    "Registration",
    "Reject",
    "RetryLater",
    "RetryPolicy",
    "Topic",
    "UnitOfWork",
    "errors",
    "open_bus",
]
