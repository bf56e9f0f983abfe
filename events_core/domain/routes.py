"""Which handlers a message bus has for which message."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from events_core.domain.engine import Route
from events_core.errors import ConfigurationError, DuplicateHandler, NoHandler
from events_core.handlers import (
    Dependencies,
    Handler,
    OnError,
    find_listeners,
    handler_of,
    listening_of,
    message_types_of,
)
from events_core.messages import Command, IntegrationEvent, Message

__all__ = ["Handlers", "Routes"]

Handlers = Mapping[type[Any], Callable[..., Any] | Iterable[Callable[..., Any]]]
"""A table of handlers: one a command, any number an event."""


class Routes:
    """A command has one handler, an event any number, in order of registration.

    `on_error` holds for handlers that do not say otherwise. With `strict` an event without handler is an error.
    `allow_async` says whether handlers may be coroutine functions.
    """

    def __init__(self, dependencies: Dependencies, *, on_error: OnError, strict: bool, allow_async: bool) -> None:
        if dependencies.is_async and not allow_async:
            raise ConfigurationError(
                "a factory is a coroutine function, and nobody awaits it here; use AsyncMessageBus"
            )
        self._dependencies = dependencies
        self._on_error = on_error
        self._strict = strict
        self._allow_async = allow_async
        self._routes: dict[type[Message], tuple[Route, ...]] = {}
        self._calls: dict[type[Message], list[Callable[..., Any]]] = {}

    def add_all(self, handlers: Handlers) -> None:
        """Add a table of handlers."""
        for message_type, calls in handlers.items():
            for call in (calls,) if callable(calls) else calls:
                self.add(message_type, call, None)

    def add(self, message_type: type[Message], call: Callable[..., Any], on_error: OnError | None) -> None:
        """Add a handler. `ConfigurationError` for one that cannot handle this, or needs what nobody gives.

        Without `on_error` its own mark decides, and without a mark the bus.
        """
        if not _is_message_class(message_type):
            raise ConfigurationError(f"handlers are added for a message class, not for {message_type!r:.80}")
        if message_type.__contract__ is None:
            raise ConfigurationError(f"{message_type.__name__} is abstract; register handlers for what derives from it")
        handler = handler_of(call)
        self._check(message_type, call, handler)
        self._dependencies.check(handler)
        route = Route(handler, on_error or _on_error_of(call) or self._on_error)
        self._routes[message_type] = (*self._routes.get(message_type, ()), route)
        self._calls.setdefault(message_type, []).append(call)

    def scan(self, package: str) -> None:
        """Add the handlers of a package that are marked with `@listen`; those that are there already stay as they are."""
        for call in find_listeners(package):
            for message_type in message_types_of(call):
                if call not in self._calls.get(message_type, ()):
                    self.add(message_type, call, None)

    def of(self, message: Message) -> Sequence[Route]:
        """Those that handle this message. `NoHandler` where there has to be one."""
        routes = self._routes.get(message.__class__)
        if routes is not None:
            return routes
        name = type(message).__name__
        if isinstance(message, Command):
            raise NoHandler(f"the command {name} has no handler; add one: bus.add_handler({name}, ...)")
        if self._strict:
            raise NoHandler(f"the event {name} has no handler, and the bus is strict")
        return ()

    @property
    def events(self) -> tuple[type[IntegrationEvent], ...]:
        """The integration events among the messages that are handled."""
        return tuple(each for each in self._routes if issubclass(each, IntegrationEvent))

    def _check(self, message_type: type[Message], call: Callable[..., Any], handler: Handler) -> None:
        name, known = message_type.__name__, self._routes.get(message_type, ())
        if handler.is_async and not self._allow_async:
            raise ConfigurationError(f"{handler.name} is a coroutine function; register it on an AsyncMessageBus")
        if known and issubclass(message_type, Command):
            raise DuplicateHandler(f"the command {name} is handled by {known[0].handler.name}, and has one handler")
        if call in self._calls.get(message_type, ()):
            raise DuplicateHandler(f"{handler.name} handles {name} already")


def _is_message_class(value: object) -> TypeGuard[type[Message]]:
    return inspect.isclass(value) and issubclass(value, Message)


def _on_error_of(call: Callable[..., Any]) -> OnError | None:
    listening = listening_of(call)
    return None if listening is None else listening.on_error
