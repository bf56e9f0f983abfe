"""Message buses that run the handlers of one message, and show what these would have caused."""

from typing import Any, TypeVar, overload

from events_core.domain import AsyncMessageBus, AsyncUnitOfWork, MessageBus, Results, UnitOfWork
from events_core.messages import Command, Message

__all__ = ["AsyncRecordingBus", "RecordingBus"]

R = TypeVar("R")


class RecordingBus:
    """A message bus that handles what it is handed, and nothing that follows: `emitted` shows that instead.

    A unit of work is begun, and left without commit, unless it is open: then it is joined, and whoever opened it may
    commit what the handlers did. Nothing that was raised leaves with it.
    """

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.emitted: list[Message] = []
        """What handlers and aggregates raised, in order; integration events of one call after its other messages."""

    @overload
    def handle(self, message: Command[R], uow: UnitOfWork | None = None, **given: object) -> Results[R]: ...
    @overload
    def handle(self, message: Message, uow: UnitOfWork | None = None, **given: object) -> Results[Any]: ...
    def handle(self, message: Message, uow: UnitOfWork | None = None, **given: object) -> Results[Any]:
        """Run the handlers of this message."""
        results, emitted = self._bus.handle_alone(message, uow, **given)
        self.emitted += emitted
        return results


class AsyncRecordingBus:
    """The same as `RecordingBus`, asynchronous."""

    def __init__(self, bus: AsyncMessageBus) -> None:
        self._bus = bus
        self.emitted: list[Message] = []
        """What handlers and aggregates raised, in order; integration events of one call after its other messages."""

    @overload
    async def handle(self, message: Command[R], uow: AsyncUnitOfWork | None = None, **given: object) -> Results[R]: ...
    @overload
    async def handle(self, message: Message, uow: AsyncUnitOfWork | None = None, **given: object) -> Results[Any]: ...
    async def handle(self, message: Message, uow: AsyncUnitOfWork | None = None, **given: object) -> Results[Any]:
        """Run the handlers of this message."""
        results, emitted = await self._bus.handle_alone(message, uow, **given)
        self.emitted += emitted
        return results
