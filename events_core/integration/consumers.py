"""Named subscribers, and the handlers they are made of."""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Concatenate, Final, TypeVar

from events_core.errors import ConfigurationError
from events_core.handlers import Dependencies, Handler, handler_of
from events_core.integration.context import Context
from events_core.messages import IntegrationEvent

__all__ = ["Consumer", "EventHandlerConsumer", "check_consumer_name", "dependencies_of", "handlers_of"]

E = TypeVar("E", bound=IntegrationEvent)
EventHandler = Callable[Concatenate[E, ...], Awaitable[None] | None]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_RESERVED: Final = ("context",)
"""What the bus itself gives to handlers that name it."""


class Consumer(ABC):
    """A named subscriber.

    The name is durable: each name gets every event it registered for, and processes with one name compete.
    """

    name: str
    events: Iterable[type[IntegrationEvent]] = ()
    """What it handles, unless its registration says otherwise."""

    @abstractmethod
    async def on_event(self, event: IntegrationEvent, context: Context) -> None:
        """Handle one event. Returning accepts it, raising retries it."""


class EventHandlerConsumer(Consumer):
    """A consumer made of functions: a name, and a list of handlers an event class.

    A handler takes the event first, and by name `context` and what `dependencies` holds: values, or each a `Factory`.

    The handlers of one event run one after the other, in order of registration, each whether or not another failed; a
    retry runs those that have not succeeded yet. Plain functions run in threads.
    """

    def __init__(
        self,
        name: str,
        handlers: Mapping[type[IntegrationEvent], Iterable[Callable[..., Any]]] | None = None,
        *,
        dependencies: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        self.dependencies: Dependencies = Dependencies(dependencies, reserved=_RESERVED)
        self.events: Iterable[type[IntegrationEvent]] = ()
        self._handlers: dict[type[IntegrationEvent], tuple[Handler, ...]] = {}
        for event_type, calls in (handlers or {}).items():
            for call in calls:
                self.add_handler(event_type, call)

    def add_handler(self, event_type: type[E], call: "EventHandler[E]") -> None:
        """Add a handler; to be done before the consumer is registered."""
        handler = handler_of(call)
        self.dependencies.check(handler)
        known = self._handlers.get(event_type, ())
        if any(handler.name == each.name for each in known):
            advice = "give it a name of its own, as a retry knows handlers by name"
            raise ConfigurationError(f"{handler.name} handles {event_type.__name__} already; {advice}")
        self._handlers[event_type] = (*known, handler)
        self.events = tuple(self._handlers)

    def on(self, event_type: type[E]) -> "Callable[[EventHandler[E]], EventHandler[E]]":
        """Decorate a handler of this event class."""

        def add(call: "EventHandler[E]") -> "EventHandler[E]":
            self.add_handler(event_type, call)
            return call

        return add

    def handlers_of(self, event_type: type[IntegrationEvent]) -> tuple[Handler, ...]:
        """In order of registration."""
        return self._handlers.get(event_type, ())

    async def on_event(self, event: IntegrationEvent, context: Context) -> None:
        """Run every handler in this task; the bus runs them one by one instead, to know which succeeded."""
        scope = self.dependencies.scope({"context": context})
        for handler in self.handlers_of(type(event)):
            outcome = handler.call(event, **await scope.arguments_async(handler))
            if inspect.isawaitable(outcome):
                await outcome


def handlers_of(consumer: Consumer, event_type: type[IntegrationEvent]) -> tuple[Handler, ...]:
    """What runs for an event: a consumer's own handlers, or its `on_event`."""
    if isinstance(consumer, EventHandlerConsumer):
        return consumer.handlers_of(event_type)
    name = f"{type(consumer).__module__}.{type(consumer).__qualname__}"
    return (Handler(name=name, call=consumer.on_event, needs=("context",), welcomes=(), is_async=True),)


def dependencies_of(consumer: Consumer) -> Dependencies:
    """What a consumer's handlers may name."""
    return consumer.dependencies if isinstance(consumer, EventHandlerConsumer) else Dependencies(reserved=_RESERVED)


def check_consumer_name(name: object) -> None:
    """Refuse what some broker would spell differently; dots separate a consumer from its topic there."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"a consumer name is 1 to 100 of the characters A-Z a-z 0-9 _ -, not {name!r}")
