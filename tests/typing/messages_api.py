"""What type checkers know about messages: checked by mypy and pyright, never run.

An ignore that is not needed is an error for both, so that each one here proves that a mistake is found.
"""

from collections.abc import Callable
from typing import assert_type

from events_core.messages import Codec, Command, Decoders, DomainEvent, IntegrationEvent, JsonCodec


class UserRegistered(IntegrationEvent, key="email"):
    type = "users.user_registered"
    version = 1
    email: str
    age: int | None = None


class UserRegisteredV2(IntegrationEvent, key="email"):
    type = "users.user_registered"
    version = 2
    email: str


class WrongVersion(IntegrationEvent):
    type = "users.wrong_version"
    version = "x"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


class WrongType(IntegrationEvent):
    type = 3  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    version = 1


class Register(Command):
    email: str


class Registered(DomainEvent):
    command: Register


@UserRegisteredV2.upcast(UserRegistered)
def newer(old: UserRegistered) -> UserRegisteredV2:
    return UserRegisteredV2(email=old.email)


@UserRegisteredV2.upcast(UserRegistered)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def backwards(old: UserRegisteredV2) -> UserRegistered:
    return UserRegistered(email=old.email)


def constructors_are_known() -> None:
    event = UserRegistered("ada@example.com", age=36)
    assert_type(event.email, str)
    assert_type(event.type, str)
    assert_type(UserRegistered.version, int)
    UserRegistered(email=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    UserRegistered()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    UserRegistered(email="a", type="b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Registered(command=Register(email="a"))


def messages_are_immutable(event: UserRegistered) -> None:
    event.email = "other"  # pyright: ignore[reportAttributeAccessIssue]


def from_dict_gives_its_class() -> None:
    assert_type(UserRegistered.from_dict({}), UserRegistered)
    assert_type(IntegrationEvent.from_dict({}), IntegrationEvent)
    assert_type(UserRegistered.from_dict({}).to_dict(), dict[str, object])


def decoders_know_their_class(codec: Codec) -> None:
    assert_type(codec.decoder(UserRegistered), Callable[[bytes], UserRegistered])
    assert_type(Decoders(JsonCodec(), [UserRegistered]).decode("", 1, b""), IntegrationEvent)
    codec.encode(Register(email="a"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
