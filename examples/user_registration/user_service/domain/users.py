from typing import Protocol

from examples.user_registration.user_service.domain.email_address import EmailAddress
from examples.user_registration.user_service.domain.user import User, UserId


class EmailTaken(Exception):
    """Another user has this e-mail address."""

    def __init__(self, email: EmailAddress) -> None:
        self.email = email
        super().__init__(f"{email} is registered already")


class Users(Protocol):
    """Everybody who has registered. No two of them have one e-mail address."""

    async def add(self, user: User) -> None:
        """Keep a new user; `EmailTaken` if another one has the address."""
        ...

    async def find(self, user_id: UserId) -> User | None:
        """The user with this id, if there is one."""
        ...
