"""Stand-ins for what the services of the user registration depend on."""

from aiosmtpd.smtp import SMTP, Envelope, Session

from events_core.testing import AsyncFakeUnitOfWork, FakeRepository
from examples.user_registration.demo.mailbox import Mailbox
from examples.user_registration.user_service.domain import EmailTaken, User, UserId


class FakeUsers:
    """The users in memory, by the same rule as the database's."""

    def __init__(self, stored: FakeRepository[User, UserId]) -> None:
        self._stored = stored

    async def add(self, user: User) -> None:
        if any(user.email == each.email for each in self._stored):
            raise EmailTaken(user.email)
        self._stored.add(user)

    async def find(self, user_id: UserId) -> User | None:
        return self._stored.get(user_id)


class FakeUnitOfUsers(AsyncFakeUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.users = FakeUsers(FakeRepository(self.seen, key=lambda user: user.id))


class MoodyMailbox(Mailbox):
    """Answers the first mails as it is told to, and takes the others."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self._answers = list(answers)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 the protocol's name
        return self._answers.pop(0) if self._answers else await super().handle_DATA(server, session, envelope)
