"""Handlers that say themselves that they listen, and how a package is searched for them."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar, overload

from events_core.errors import ConfigurationError
from events_core.handlers.handler import handler_of

__all__ = ["Listening", "OnError", "find_listeners", "listen"]

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
        handler_of(call)
        setattr(call, _MARK, Listening(on_error=on_error))
        return call

    return mark if handler is None else mark(handler)


def find_listeners(package: str) -> Iterator[tuple[Callable[..., Any], Listening]]:
    """Import a module and all below it, and give the marked handlers that are defined there, in order of definition.

    `ConfigurationError` where there is no such module; what a module raises at import comes through.
    """
    for name in _modules(package):
        module = importlib.import_module(name)
        for value in list(vars(module).values()):
            listening: object = getattr(value, "__dict__", {}).get(_MARK)
            if isinstance(listening, Listening) and value.__module__ == name:
                yield value, listening


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
