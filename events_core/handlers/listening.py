"""Handlers that say themselves that they listen, and how a package is searched for them."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar, overload

from events_core.errors import ConfigurationError
from events_core.handlers.handler import handler_of

__all__ = ["Listening", "OnError", "find_listeners", "listen", "listening_of"]

H = TypeVar("H", bound=Callable[..., Any])

_MARK: Final = "__events_listening__"


class OnError(Enum):
    """What becomes of an error that a handler raises."""

    RAISE = "raise"
    """It ends the call, and the caller gets it as it is."""
    LOG = "log"
    """It is logged and kept among the outcomes; the other handlers and messages go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What a decorated handler asked for."""

    on_error: OnError | None


@overload
def listen(handler: H, /) -> H: ...
@overload
def listen(*, on_error: OnError | None = None) -> Callable[[H], H]: ...
def listen(handler: H | None = None, /, *, on_error: OnError | None = None) -> H | Callable[[H], H]:
    """Mark a function or handler class, so that `scan` finds it; the first parameter's annotation says for what.

    It stays what it is, and can be called directly.
    """

    def mark(call: H) -> H:
        name = handler_of(call).name
        try:
            setattr(call, _MARK, Listening(on_error=on_error))
        except AttributeError as error:
            raise ConfigurationError(f"{name} cannot be marked; add it with bus.add_handler(...)") from error
        return call

    return mark if handler is None else mark(handler)


def listening_of(call: object) -> Listening | None:
    """The mark of this very function, class or object; a subclass has none."""
    mark: object = getattr(call, "__dict__", {}).get(_MARK)
    return mark if isinstance(mark, Listening) else None


def find_listeners(package: str) -> Iterator[Callable[..., Any]]:
    """Import a module and all below it, and give the marked handlers that are defined there, in order of definition.

    `ConfigurationError` where there is no such module; what a module raises at import comes through.
    """
    for name in _modules(package):
        module = importlib.import_module(name)
        for value in list(vars(module).values()):
            if listening_of(value) is not None and _home_of(value) in (name, None):
                yield value


def _home_of(handler: object) -> str | None:
    """The module of a function or class; an object other than these does not know where it was made."""
    return handler.__module__ if inspect.isroutine(handler) or inspect.isclass(handler) else None


def _modules(package: str) -> Iterator[str]:
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{package}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"there is no module {package} to scan") from error
    yield package
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{package}."):
        if not found.name.endswith(".__main__"):
            yield found.name
