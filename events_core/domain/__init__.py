"""Inside one service: aggregates raise events, a unit of work collects them, a message bus hands them to handlers."""

from events_core.domain.aggregate import AggregateRoot, Seen
from events_core.domain.bus import AsyncMessageBus, MessageBus
from events_core.domain.dispatcher import (
    DomainEventDispatcher,
    DomainEventHandler,
    HandlerFactory,
    HandlerRegistry,
    RegisteredHandlers,
)
from events_core.domain.engine import Emit, Outcome, Results
from events_core.domain.repository import Repository
from events_core.domain.routes import Handlers
from events_core.domain.stream import EventStream, RecordingSink
from events_core.domain.unit import Status
from events_core.domain.unit_of_work import AsyncUnitOfWork, UnitOfWork
from events_core.handlers import Factory, OnError, listen

__all__ = [
    "AggregateRoot",
    "AsyncMessageBus",
    "AsyncUnitOfWork",
    "DomainEventDispatcher",
    "DomainEventHandler",
    "Emit",
    "EventStream",
    "Factory",
    "HandlerFactory",
    "HandlerRegistry",
    "Handlers",
    "MessageBus",
    "OnError",
    "Outcome",
    "RecordingSink",
    "RegisteredHandlers",
    "Repository",
    "Results",
    "Seen",
    "Status",
    "UnitOfWork",
    "listen",
]
