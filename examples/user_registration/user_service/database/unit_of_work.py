from sqlalchemy.ext.asyncio import AsyncSession

from events_core import AsyncUnitOfWork
from events_core.domain import EventStream
from events_sqlalchemy import SqlAlchemyOutbox
from examples.user_registration.contract import USERS
from examples.user_registration.user_service.database.tables import OUTBOX
from examples.user_registration.user_service.database.users import SqlAlchemyUsers

SERVICE = "user-service"


class SqlAlchemyUnitOfWork(AsyncUnitOfWork):
    """Users, and what the world is told about them: both are kept, or neither."""

    def __init__(self, session: AsyncSession) -> None:
        outbox = SqlAlchemyOutbox(session, OUTBOX, source=SERVICE)
        super().__init__(stream=EventStream(outbox, USERS))
        self._session = session
        self.users: SqlAlchemyUsers = SqlAlchemyUsers(session, self.seen)

    async def _begin(self) -> None:
        """The session begins with its first statement."""

    async def _commit(self) -> None:
        await self._session.commit()

    async def _rollback(self) -> None:
        await self._session.rollback()

    async def _close(self) -> None:
        await self._session.close()
