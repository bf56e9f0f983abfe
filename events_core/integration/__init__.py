"""The integration event bus and everything a registration is made of."""

from events_core.integration.bus import BusOptions, IntegrationEventBus
from events_core.integration.bus_consumer import BusConsumer
from events_core.integration.bus_sink import BusSink
from events_core.integration.consumers import Consumer, EventHandlerConsumer
from events_core.integration.context import Call, Context, Middleware, current_context
from events_core.integration.dead_letters import DeadLetter, DeadLetters
from events_core.integration.health import Health, SubscriptionHealth
from events_core.integration.memory import InMemoryEventBus
from events_core.integration.opening import open_bus
from events_core.integration.registration import Registration
from events_core.integration.retry import GiveUp, Retry, RetryPolicy
from events_core.integration.topology import Flow, Topology

__all__ = [
    "BusConsumer",
    "BusOptions",
    "BusSink",
    "Call",
    "Consumer",
    "Context",
    "DeadLetter",
    "DeadLetters",
    "EventHandlerConsumer",
    "Flow",
    "GiveUp",
    "Health",
    "InMemoryEventBus",
    "IntegrationEventBus",
    "Middleware",
    "Registration",
    "Retry",
    "RetryPolicy",
    "SubscriptionHealth",
    "Topology",
    "current_context",
    "open_bus",
]
