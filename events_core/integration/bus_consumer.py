"""From the integration event bus into the message bus of a service."""

from collections.abc import Awaitable, Callable, Iterable

from events_core.domain import AsyncMessageBus, AsyncUnitOfWork
from events_core.integration.consumers import Consumer
from events_core.integration.context import Context
from events_core.messages import IntegrationEvent

__all__ = ["BusConsumer"]


class BusConsumer(Consumer):
    """Hands integration events to a message bus: what each causes is one unit of work, made by `uow`, sync or async.

    The delivery is accepted after the commit; an error rolls back, and the event is tried again. Handlers may name
    `context`. It handles the integration events that the bus has handlers for, unless `events` says otherwise.
    """

    def __init__(
        self,
        name: str,
        bus: AsyncMessageBus,
        *,
        uow: Callable[[], AsyncUnitOfWork | Awaitable[AsyncUnitOfWork]] | None = None,
        events: Iterable[type[IntegrationEvent]] | None = None,
    ) -> None:
        self.name = name
        self._bus = bus
        self._uow = uow
        self.events: Iterable[type[IntegrationEvent]] = tuple(bus.events if events is None else events)

    async def on_event(self, event: IntegrationEvent, context: Context) -> None:
        """Handle one event and everything that it causes."""
        uow = None if self._uow is None else self._uow()
        if uow is not None and not isinstance(uow, AsyncUnitOfWork):
            uow = await uow
        await self._bus.handle(event, uow, context=context)
