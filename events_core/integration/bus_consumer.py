"""From the integration event bus into the message bus of a service."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from events_core.domain import AsyncMessageBus, AsyncUnitOfWork
from events_core.errors import ConfigurationError
from events_core.integration.consumers import Consumer
from events_core.integration.context import Context
from events_core.messages import IntegrationEvent
from events_core.ports import Inbox

__all__ = ["BusConsumer"]

U = TypeVar("U", bound=AsyncUnitOfWork)


class BusConsumer(Consumer):
    """Hands integration events to a message bus: what each causes is one unit of work, made by `uow`, sync or async.

    The delivery is accepted after the commit; an error rolls back, and the event is tried again. Handlers may name
    `context`. It handles the integration events that the bus has handlers for, unless `events` says otherwise.

    With `inbox`, which is given the unit of work and makes an inbox in its transaction, an event that comes twice takes
    effect once: that it was consumed is noted with what it caused.
    """

    def __init__(
        self,
        name: str,
        bus: AsyncMessageBus,
        *,
        uow: Callable[[], U | Awaitable[U]] | None = None,
        inbox: Callable[[U], Inbox] | None = None,
        events: Iterable[type[IntegrationEvent]] | None = None,
    ) -> None:
        if inbox is not None and uow is None:
            raise ConfigurationError("an inbox notes events in a unit of work; give uow=... as well")
        self.name = name
        self._bus = bus
        self._uow = uow
        self._inbox: Callable[[Any], Inbox] | None = inbox
        self.events: Iterable[type[IntegrationEvent]] = tuple(bus.events if events is None else events)

    async def on_event(self, event: IntegrationEvent, context: Context) -> None:
        """Handle one event and everything that it causes."""
        uow = None if self._uow is None else self._uow()
        if uow is not None and not isinstance(uow, AsyncUnitOfWork):
            uow = await uow
        if uow is None or self._inbox is None:
            await self._bus.handle(event, uow, context=context)
        else:
            await self._handle_once(event, context, uow, self._inbox)

    async def _handle_once(
        self, event: IntegrationEvent, context: Context, uow: AsyncUnitOfWork, inbox: Callable[[Any], Inbox]
    ) -> None:
        async with uow, inbox(uow).once(replace(context, handler="")):
            await self._bus.handle(event, uow, context=context)
            if uow.unit.wants_commit:
                await uow.commit()
