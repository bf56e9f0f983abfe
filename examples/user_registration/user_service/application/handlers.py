"""A command, the domain event that it causes, and what the world is told: all in one unit of work."""

from collections.abc import Callable
from typing import Protocol
from uuid import uuid4

from events_core import AsyncMessageBus, Message
from examples.user_registration.contract import UserRegistered
from examples.user_registration.user_service.application.commands import RegisterUser
from examples.user_registration.user_service.domain import User, UserId, Users, UserSignedUp


class UnitOfUsers(Protocol):
    """What these handlers need of a unit of work."""

    @property
    def users(self) -> Users:
        """Everybody who has registered."""
        ...


async def register_user(command: RegisterUser, uow: UnitOfUsers) -> UserId:
    """`EmailTaken` if somebody else has the address."""
    user = User.sign_up(UserId(uuid4()), command.name, command.email)
    await uow.users.add(user)
    return user.id


def tell_the_world(event: UserSignedUp, emit: Callable[[Message], None]) -> None:
    """The domain's event in the words of the contract; it leaves if the transaction commits."""
    emit(UserRegistered(user_id=event.user_id, name=event.name, email=str(event.email)))


def new_message_bus() -> AsyncMessageBus:
    """What handles what in this service."""
    return AsyncMessageBus({RegisterUser: register_user, UserSignedUp: tell_the_world})
