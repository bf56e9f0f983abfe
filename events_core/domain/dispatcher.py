"""Domain events without a message bus: stored as they happen, and handled together."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeGuard, TypeVar, cast

from events_core.domain.aggregate import Seen
from events_core.domain.drivers import drive_async
from events_core.domain.engine import Results, Route, Run, refuse_to_lose
from events_core.errors import ConfigurationError, DuplicateHandler
from events_core.handlers import Dependencies, Handler, OnError
from events_core.messages import DomainEvent, Message

__all__ = ["DomainEventDispatcher", "DomainEventHandler", "HandlerFactory", "HandlerRegistry", "RegisteredHandlers"]

E_contra = TypeVar("E_contra", bound=DomainEvent, contravariant=True)
E = TypeVar("E", bound=DomainEvent)


class DomainEventHandler(ABC, Generic[E_contra]):
    """A handler as a class: its constructor takes what it needs."""

    @abstractmethod
    async def handle(self, event: E_contra) -> object:
        """Handle one event."""


class HandlerFactory(Protocol):
    """Makes the handlers of an event: a registry, or a container for dependencies."""

    async def create(self, event_type: type[DomainEvent]) -> Sequence[DomainEventHandler[Any]]:
        """In the order in which they handle the event; none for an event that nobody handles."""
        ...


class HandlerRegistry:
    """Handler classes by event, in order of registration."""

    def __init__(self) -> None:
        self._types: dict[type[DomainEvent], tuple[type[DomainEventHandler[Any]], ...]] = {}

    def register(self, event_type: type[E], *handler_types: type[DomainEventHandler[E]]) -> None:
        """Add handlers of an event. `DuplicateHandler` for one that is there already."""
        for each in handler_types:
            known = self.of(event_type)
            if each in known:
                raise DuplicateHandler(f"{each.__qualname__} handles {event_type.__name__} already")
            self._types[event_type] = (*known, each)

    @property
    def handler_types(self) -> tuple[type[DomainEventHandler[Any]], ...]:
        """Every handler class, once: what a container has to be able to make."""
        return tuple(dict.fromkeys(each for types in self._types.values() for each in types))

    def of(self, event_type: type[DomainEvent]) -> tuple[type[DomainEventHandler[Any]], ...]:
        """The handler classes of an event."""
        return self._types.get(event_type, ())


class RegisteredHandlers:
    """Makes the handlers of a registry: by `make(handler_class)`, which may be asynchronous, or without arguments."""

    def __init__(self, registry: HandlerRegistry, make: Callable[[type[Any]], Any] | None = None) -> None:
        self._registry = registry
        self._make = make or _without_arguments

    async def create(self, event_type: type[DomainEvent]) -> Sequence[DomainEventHandler[Any]]:
        """In order of registration."""
        return [await self._one(each) for each in self._registry.of(event_type)]

    async def _one(self, handler_type: type[DomainEventHandler[Any]]) -> DomainEventHandler[Any]:
        made: object = self._make(handler_type)
        handler = await cast("Awaitable[object]", made) if inspect.isawaitable(made) else made
        if not _is_handler(handler):
            raise ConfigurationError(f"asked for a {handler_type.__qualname__}, but {handler!r:.80} was made")
        return handler


def _is_handler(made: object) -> TypeGuard[DomainEventHandler[Any]]:
    return isinstance(made, DomainEventHandler)


class DomainEventDispatcher:
    """Stores domain events, and hands them to handlers in order when it is told to.

    As a context manager it processes at the end of the block; a block that fails leaves no event behind. Handlers may
    store events as well: these are processed behind those that wait.
    """

    def __init__(self, factory: HandlerFactory, *, on_error: OnError = OnError.RAISE) -> None:
        self._factory = factory
        self._on_error = on_error
        self._stored: list[DomainEvent] = []
        self._run: Run | None = None

    def store_event(self, event: DomainEvent) -> None:
        """Have an event processed. One with `published=True` is refused: nobody would send it."""
        self.store_events([event])

    def store_events(self, events: Iterable[DomainEvent]) -> None:
        """Have events processed, in this order; all, or none if one is refused."""
        listed = list(events)
        for event in listed:
            refuse_to_lose(event)
        (self._stored if self._run is None else self._run.queue).extend(listed)

    def from_entity(self, entity: object) -> None:
        """Have the events processed that an aggregate has raised; it forgets them. It refuses what is for others."""
        seen = Seen()
        seen.add(entity)
        raised = [each.message for each in seen.pop_events()]
        events = [each for each in raised if isinstance(each, DomainEvent)]
        if len(events) < len(raised):
            names = ", ".join(type(each).__name__ for each in raised if not isinstance(each, DomainEvent))
            raise ConfigurationError(f"{names} is no domain event; what is for other services goes to a unit of work")
        self.store_events(events)

    async def process(self) -> Results[Any]:
        """Handle everything that is stored, and everything that handlers store, until nothing is left.

        An error of a handler comes out as it is, and what was stored then is dropped.
        """
        stored, self._stored = self._stored, []
        run = Run(stored, Dependencies().scope())
        around, self._run = self._run, run
        try:
            await drive_async(run, self._routes_of)
        finally:
            self._run = around
        return run.results

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.process()
        else:
            self._stored.clear()

    async def _routes_of(self, message: Message) -> Sequence[Route]:
        event_type = cast("type[DomainEvent]", type(message))
        return [self._route(each) for each in await self._factory.create(event_type)]

    def _route(self, handler: DomainEventHandler[Any]) -> Route:
        kind = type(handler)
        name = f"{kind.__module__}.{kind.__qualname__}"
        return Route(Handler(name=name, call=handler.handle, needs=(), welcomes=(), is_async=True), self._on_error)


def _without_arguments(handler_type: type[Any]) -> object:
    return handler_type()
