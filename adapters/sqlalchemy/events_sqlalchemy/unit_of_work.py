"""Units of work around a session."""

from typing import TypedDict, Unpack

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from events_core.domain import AsyncMessageBus, AsyncUnitOfWork, EventStream, MessageBus, UnitOfWork

__all__ = ["AsyncSqlAlchemyUnitOfWork", "SqlAlchemyUnitOfWork"]


class _Options(TypedDict, total=False):
    stream: EventStream | None
    bus: MessageBus | None


class _AsyncOptions(TypedDict, total=False):
    stream: EventStream | None
    bus: AsyncMessageBus | None


class SqlAlchemyUnitOfWork(UnitOfWork):
    """The transaction of a `Session`; the session is closed when the outermost block is left.

    Derive from it to add repositories, made with `self.session` and `self.seen`. The transaction begins with the first
    statement, as sessions do.
    """

    def __init__(self, session: Session, **options: Unpack[_Options]) -> None:
        super().__init__(**options)
        self.session: Session = session

    def _begin(self) -> None:
        """The first statement does."""

    def _commit(self) -> None:
        self.session.commit()

    def _rollback(self) -> None:
        self.session.rollback()

    def _close(self) -> None:
        self.session.close()


class AsyncSqlAlchemyUnitOfWork(AsyncUnitOfWork):
    """The same for an `AsyncSession`."""

    def __init__(self, session: AsyncSession, **options: Unpack[_AsyncOptions]) -> None:
        super().__init__(**options)
        self.session: AsyncSession = session

    async def _begin(self) -> None:
        """The first statement does."""

    async def _commit(self) -> None:
        await self.session.commit()

    async def _rollback(self) -> None:
        await self.session.rollback()

    async def _close(self) -> None:
        await self.session.close()
