from dataclasses import dataclass
from typing import Self

from events_core import AggregateRoot
from examples.user_registration.user_service.domain.email_address import EmailAddress
from examples.user_registration.user_service.domain.events import UserSignedUp
from examples.user_registration.user_service.domain.ids import UserId

__all__ = ["User", "UserId"]


@dataclass(eq=False)
class User(AggregateRoot):
    """A person who has registered."""

    id: UserId
    name: str
    email: EmailAddress

    @classmethod
    def sign_up(cls, id: UserId, name: str, email: EmailAddress) -> Self:
        """A new user, and the event that says so."""
        user = cls(id, name, email)
        user.publish_event(UserSignedUp(user_id=id, name=name, email=email))
        return user
