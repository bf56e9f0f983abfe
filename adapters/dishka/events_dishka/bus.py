"""A message bus as a request sees it."""

from typing import Any, TypeVar, overload

from dishka import AsyncContainer

from events_core import AsyncMessageBus, AsyncUnitOfWork, Command, Message
from events_core.domain import Results
from events_dishka.scope import handling_in

__all__ = ["RequestBus"]

R = TypeVar("R")


class RequestBus:
    """Hands messages to a message bus, whose handlers get what the container of this request provides.

    With `uow`, a class that the container provides, messages are handled in that unit of work, unless the call gives
    another one.
    """

    def __init__(
        self, bus: AsyncMessageBus, container: AsyncContainer, *, uow: type[AsyncUnitOfWork] | None = None
    ) -> None:
        self._bus = bus
        self._container = container
        self._uow = uow

    @overload
    async def handle(self, message: Command[R], uow: AsyncUnitOfWork | None = None, **given: object) -> Results[R]: ...
    @overload
    async def handle(self, message: Message, uow: AsyncUnitOfWork | None = None, **given: object) -> Results[Any]: ...
    async def handle(self, message: Message, uow: AsyncUnitOfWork | None = None, **given: object) -> Results[Any]:
        """Handle a message and everything that it causes, as `AsyncMessageBus.handle` does."""
        if uow is None and self._uow is not None:
            uow = await self._container.get(self._uow)
        with handling_in(self._container):
            return await self._bus.handle(message, uow, **given)
