"""How handlers get what a container provides: by name, or marked in their own signature."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from dishka import AsyncContainer
from dishka.integrations.base import wrap_injection

from events_core.domain import Factory
from events_core.errors import ConfigurationError
from events_dishka.scope import current_container

__all__ = ["inject", "provided"]

P = ParamSpec("P")
R = TypeVar("R")


def provided(wanted: type[object]) -> Factory:
    """A dependency that comes out of the container in whose scope a message is handled.

    `AsyncMessageBus(dependencies={"mailer": provided(Mailer)})`, and the same for an `EventHandlerConsumer`: the
    handlers name `mailer`, and know nothing of the container.
    """

    async def make() -> object:
        return await current_container().get(wanted)

    return Factory(make)


def inject(handler: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Give a coroutine function its `FromDishka[...]` parameters; the others come from whoever calls it.

    It stands below `@listen`. `ConfigurationError` for a plain function: `provided` serves that one.
    """
    if not inspect.iscoroutinefunction(handler):
        name = getattr(handler, "__qualname__", repr(handler))
        raise ConfigurationError(f"{name} is no coroutine function; name its dependency, and give it as provided(...)")
    return wrap_injection(func=handler, container_getter=_container, is_async=True)


def _container(args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncContainer:
    return current_container()
