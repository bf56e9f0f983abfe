"""Named subscribers, and the handlers they are made of."""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from events_core.errors import ConfigurationError
from events_core.integration.context import Context
from events_core.messages import IntegrationEvent

__all__ = ["Consumer", "EventHandlerConsumer", "Handler", "check_consumer_name", "handlers_of"]

E = TypeVar("E", bound=IntegrationEvent)
EventHandler = Callable[[E], Awaitable[None] | None] | Callable[[E, Context], Awaitable[None] | None]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


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


@dataclass(frozen=True, slots=True)
class Handler:
    """A callable of `(event)` or `(event, context)`, known over processes and releases by its qualified name."""

    name: str
    call: Callable[..., Any]
    takes_context: bool
    is_async: bool

    allowed: ClassVar[tuple[object, ...]] = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

    @classmethod
    def of(cls, call: Callable[..., Any]) -> "Handler":
        """Read a callable's signature; what cannot be called is a `ConfigurationError`."""
        name = f"{getattr(call, '__module__', type(call).__module__)}.{getattr(call, '__qualname__', type(call).__qualname__)}"
        first, *others = _parameters(name, call)
        if first.kind not in cls.allowed:
            raise ConfigurationError(f"the handler {name} takes the event first, by position")
        unknown = [each.name for each in others if each.name != "context" and each.default is inspect.Parameter.empty]
        if unknown:
            raise ConfigurationError(f"the handler {name} asks for {', '.join(unknown)}; it can take (event, context)")
        return cls(name, call, any(each.name == "context" for each in others), _is_async(call))


class EventHandlerConsumer(Consumer):
    """A consumer made of functions: a name, and a list of handlers an event class.

    The handlers of one event run one after the other, in order of registration, each whether or not another failed; a
    retry runs those that have not succeeded yet. Plain functions run in threads.
    """

    def __init__(
        self, name: str, handlers: Mapping[type[IntegrationEvent], Iterable[Callable[..., Any]]] | None = None
    ) -> None:
        self.name = name
        self.events: Iterable[type[IntegrationEvent]] = ()
        self._handlers: dict[type[IntegrationEvent], tuple[Handler, ...]] = {}
        for event_type, calls in (handlers or {}).items():
            for call in calls:
                self.add_handler(event_type, call)

    def add_handler(self, event_type: type[E], call: "EventHandler[E]") -> None:
        """Add a handler; to be done before the consumer is registered."""
        handler = Handler.of(call)
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
        for handler in self.handlers_of(type(event)):
            outcome = handler.call(event, context=context) if handler.takes_context else handler.call(event)
            if inspect.isawaitable(outcome):
                await outcome


def handlers_of(consumer: Consumer, event_type: type[IntegrationEvent]) -> tuple[Handler, ...]:
    """What runs for an event: a consumer's own handlers, or its `on_event`."""
    if isinstance(consumer, EventHandlerConsumer):
        return consumer.handlers_of(event_type)
    return (Handler(f"{type(consumer).__module__}.{type(consumer).__qualname__}", consumer.on_event, True, True),)


def check_consumer_name(name: object) -> None:
    """Refuse what some broker would spell differently; dots separate a consumer from its topic there."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"a consumer name is 1 to 100 of the characters A-Z a-z 0-9 _ -, not {name!r}")


def _parameters(name: str, call: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} cannot be a handler: {error}") from error
    if not parameters:
        raise ConfigurationError(f"the handler {name} takes no event; its first parameter is the event")
    return parameters


def _is_async(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004 its kind is asked for, not whether it is there
