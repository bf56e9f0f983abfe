"""The handlers of a `DomainEventDispatcher`, made by a container."""

from collections.abc import Sequence
from typing import Any

from dishka import AsyncContainer

from events_core.domain import DomainEventHandler, HandlerRegistry, RegisteredHandlers
from events_core.messages import DomainEvent

__all__ = ["DishkaHandlers"]


class DishkaHandlers:
    """Makes the handlers of a registry in the scope of a container: what they are given, the caller has as well.

    The container is that of a request, and its providers know the handler classes. It is not closed here.
    """

    def __init__(self, registry: HandlerRegistry, container: AsyncContainer) -> None:
        self._handlers = RegisteredHandlers(registry, make=container.get)

    async def create(self, event_type: type[DomainEvent]) -> Sequence[DomainEventHandler[Any]]:
        """In order of registration."""
        return await self._handlers.create(event_type)
