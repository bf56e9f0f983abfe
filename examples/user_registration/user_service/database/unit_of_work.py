from sqlalchemy.ext.asyncio import AsyncSession

from events_core.domain import EventStream
from events_sqlalchemy import AsyncSqlAlchemyUnitOfWork, SqlAlchemyOutbox
from examples.user_registration.contract import USERS
from examples.user_registration.user_service.database.tables import OUTBOX
from examples.user_registration.user_service.database.users import SqlAlchemyUsers

SERVICE = "user-service"


class UserServiceUnitOfWork(AsyncSqlAlchemyUnitOfWork):
    """Users, and what the world is told about them: both are kept, or neither."""

    def __init__(self, session: AsyncSession) -> None:
        outbox = SqlAlchemyOutbox(session, OUTBOX, source=SERVICE)
        super().__init__(session, stream=EventStream(outbox, USERS))
        self.users: SqlAlchemyUsers = SqlAlchemyUsers(session, self.seen)
