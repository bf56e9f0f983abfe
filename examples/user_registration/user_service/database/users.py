from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from events_core.domain import Repository, Seen
from examples.user_registration.user_service.database.tables import USERS_TABLE
from examples.user_registration.user_service.domain import EmailAddress, EmailTaken, User, UserId


class SqlAlchemyUsers(Repository[User]):
    """The users in the transaction of one session."""

    def __init__(self, session: AsyncSession, seen: Seen) -> None:
        super().__init__(seen)
        self._session = session

    async def add(self, user: User) -> None:
        """Keep a new user; `EmailTaken` if another one has the address."""
        row = {"id": user.id, "name": user.name, "email": user.email.written, "email_folded": user.email.folded}
        try:
            await self._session.execute(insert(USERS_TABLE).values(row))
        except IntegrityError as error:
            # Nobody looked before: somebody else could register between the look and this.
            if "email_folded" in str(error.orig):
                raise EmailTaken(user.email) from error
            raise
        self.see(user)

    async def find(self, user_id: UserId) -> User | None:
        """The user with this id, if there is one."""
        query = select(USERS_TABLE).where(USERS_TABLE.c.id == user_id)
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else self.see(User(UserId(row.id), row.name, EmailAddress(row.email)))
