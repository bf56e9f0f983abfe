"""Commands that say what their handler returns, and domain events that also leave the service."""

import pytest

from events_core.errors import ContractError
from events_core.messages import Command, DomainEvent, IntegrationEvent, JsonCodec, Message, Sealer
from tests.unit.messages.test_declaration import declare


class Enrol(Command[int]):
    student: str


class Enrolled(DomainEvent, published=True, key="student"):
    student: str


class Greeted(DomainEvent):
    student: str


def test_a_command_may_say_what_its_handler_returns_and_is_a_message_like_others() -> None:
    command = Enrol(student="Ada")
    assert (Enrol.type, command.student) == ("Enrol", "Ada")
    assert command.to_dict() == {"type": "Enrol", "version": 1, "student": "Ada"}
    assert Enrol.from_dict(command.to_dict()) == command
    assert isinstance(Command.from_dict(command.to_dict()), Enrol)
    assert Enrol.__struct_fields__ == ("student",)


def test_a_base_of_commands_keeps_what_they_return() -> None:
    class Administrative(Command[int], abstract=True):
        reason: str

    class Expel(Administrative):
        student: str

    assert Expel(reason="none", student="Ada").to_dict()["type"] == "Expel"


def test_only_a_domain_event_that_says_so_is_published() -> None:
    class Promoted(Enrolled):
        pass

    assert (Enrolled.__published__, Greeted.__published__) == (True, False)
    assert Promoted.__published__


def test_a_published_event_can_be_sealed_for_other_services() -> None:
    envelope = Sealer(JsonCodec(), "school").seal(Enrolled(student="Ada"), id="1", time=0)
    assert (envelope.type, envelope.version, envelope.key) == ("Enrolled", 1, "Ada")
    assert envelope.body == b'{"type":"Enrolled","version":1,"student":"Ada"}'


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        (IntegrationEvent, "an integration event is always published; remove published=True"),
        (Command, "only a domain event can be published; remove published=True"),
    ],
)
def test_published_says_nothing_about_other_messages(base: type[Message], reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        declare("Misplaced", {"type": "school.misplaced", "version": 1}, base, published=True)
