"""The REQUEST scope of a container in which a message is handled."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from dishka import AsyncContainer

from events_core import Context, IntegrationEvent
from events_core.errors import AlreadyHandled, ConfigurationError, RolledBack
from events_core.integration import Call

__all__ = ["RequestScope", "current_container", "handling_in"]

_current: Final[ContextVar[AsyncContainer | None]] = ContextVar("events_dishka.container", default=None)


class RequestScope:
    """A middleware: every event is handled in a REQUEST scope of its own, which is closed before the event is settled.

    All handlers of one attempt share it, and share its end: if one of them fails, or closing does, all of them run
    again in another scope. A generator provider is sent the error, as in a web request. Providers may ask for what
    comes with the event: `from_context(Context, scope=Scope.REQUEST)`, and the same for `IntegrationEvent`.
    """

    def __init__(self, container: AsyncContainer) -> None:
        self._container = container

    async def __call__(self, event: IntegrationEvent, context: Context, call: Call) -> None:
        """Handle one event."""
        try:
            async with self._container({IntegrationEvent: event, Context: context}) as request:
                with handling_in(request):
                    await call()
        except (AlreadyHandled, RolledBack):
            raise
        except Exception as error:
            raise RolledBack(error) from error


@contextmanager
def handling_in(container: AsyncContainer) -> Generator[None]:
    """Inside, handlers get what this container provides; it is opened and closed by whoever made it."""
    token = _current.set(container)
    try:
        yield
    finally:
        _current.reset(token)


def current_container() -> AsyncContainer:
    """The container in whose scope a message is handled here. `ConfigurationError` outside."""
    container = _current.get()
    if container is None:
        raise ConfigurationError(
            "no container is open here; hand the message to a RequestBus, "
            "or give the registration middleware=(RequestScope(container),)"
        )
    return container
