"""The user service without database, broker and HTTP."""

from uuid import uuid4

import pytest

from events_core.testing import AsyncRecordingBus
from examples.user_registration.contract import UserRegistered
from examples.user_registration.user_service.application.commands import RegisterUser
from examples.user_registration.user_service.application.handlers import new_message_bus
from examples.user_registration.user_service.domain import (
    EmailAddress,
    EmailTaken,
    InvalidEmailAddress,
    User,
    UserId,
    UserSignedUp,
)
from tests.integration.registration import FakeUnitOfUsers

ADA = EmailAddress("ada@example.org")


def test_a_new_user_says_so() -> None:
    user = User.sign_up(UserId(uuid4()), "Ada", ADA)
    assert user.pop_events() == [UserSignedUp(user_id=user.id, name="Ada", email=ADA)]


def test_case_makes_no_difference_between_addresses_and_is_kept() -> None:
    assert EmailAddress("Ada@Example.org") == ADA
    assert len({EmailAddress("Ada@Example.org"), ADA}) == 1
    assert str(EmailAddress("Ada@Example.org")) == "Ada@Example.org"


@pytest.mark.parametrize(
    "written",
    ["a@b.co", "ada.lovelace+news@mail.example.org", "o'brien@example.org", "x" * 64 + "@example.org", "1@2.example"],
)
def test_an_address_is(written: str) -> None:
    assert str(EmailAddress(written)) == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "ada@@example.org",
        "ada@bob@example.org",
        ".ada@example.org",
        "ada..l@example.org",
        "ada@-example.org",
        "ada@example..org",
        "ada @example.org",
        "ada@example.org\n",
        "ada@example.org\r\nBcc: all@example.org",
        "ada@example.org,bob@example.org",
        "Ada <ada@example.org>",
        "\u00e4da@example.org",
        "x" * 65 + "@example.org",
        "ada@" + "x." * 130 + "org",
    ],
)
def test_no_address_is(written: str) -> None:
    with pytest.raises(InvalidEmailAddress):
        EmailAddress(written)


@pytest.mark.anyio
async def test_registering_keeps_the_user_and_tells_the_world_in_one_transaction() -> None:
    uow = FakeUnitOfUsers()
    user_id = (await new_message_bus().handle(RegisterUser(name="Ada", email=ADA), uow)).first
    assert uow.commits == 1
    assert uow.published == [UserRegistered(user_id=user_id, name="Ada", email="ada@example.org")]
    user = await uow.users.find(user_id)
    assert user is not None
    assert (user.name, user.email) == ("Ada", ADA)


@pytest.mark.anyio
async def test_nobody_is_told_of_an_address_that_is_taken() -> None:
    bus, uow = new_message_bus(), FakeUnitOfUsers()
    await bus.handle(RegisterUser(name="Ada", email=ADA), uow)
    with pytest.raises(EmailTaken, match="is registered already"):
        await bus.handle(RegisterUser(name="Impostor", email=EmailAddress("ADA@example.org")), uow)
    assert (uow.commits, uow.rollbacks, len(uow.published)) == (1, 1, 1)


@pytest.mark.anyio
async def test_the_command_itself_causes_nothing_but_the_domain_event() -> None:
    bus = AsyncRecordingBus(new_message_bus())
    user_id = (await bus.handle(RegisterUser(name="Ada", email=ADA), FakeUnitOfUsers())).first
    assert bus.emitted == [UserSignedUp(user_id=user_id, name="Ada", email=ADA)]
