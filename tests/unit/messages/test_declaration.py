"""What a message class may say about itself, and what is refused where it is written."""

import subprocess
import sys
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events_core.errors import ContractError, UnknownContract
from events_core.messages import Command, DomainEvent, IntegrationEvent, Message
from events_core.messages.message import MessageMeta


def declare(
    name: str, body: dict[str, Any], base: type[Message] = IntegrationEvent, **keywords: object
) -> type[Message]:
    """What `class name(base, **keywords): body` does, for bodies that type checkers rightly refuse."""
    namespace = {"__module__": __name__, "__qualname__": name, **body}
    return MessageMeta(name, (base,), namespace, **keywords)  # type: ignore[return-value, arg-type]  # pyright: ignore[reportReturnType, reportArgumentType]


class Registered(IntegrationEvent, key="email"):
    type = "declaration.registered"
    version = 3
    email: str


def test_type_and_version_are_read_from_class_and_instance_and_are_no_fields() -> None:
    event = Registered(email="ada@example.com")

    assert (Registered.type, Registered.version) == ("declaration.registered", 3)
    assert (event.type, event.version) == ("declaration.registered", 3)
    assert Registered.__struct_fields__ == ("email",)


def test_an_annotated_type_and_version_are_attributes_all_the_same() -> None:
    body = {
        "__annotations__": {"type": str, "version": "int", "email": str},
        "type": "declaration.annotated",
        "version": 1,
    }

    assert declare("Annotated", body).__struct_fields__ == ("email",)


def test_an_annotated_type_is_understood_under_postponed_annotations() -> None:
    source = """
        from __future__ import annotations
        from events_core.messages import IntegrationEvent

        class Postponed(IntegrationEvent):
            type: str = "declaration.postponed"
            version: int = 1
            email: str
    """
    names: dict[str, Any] = {"__name__": "postponed"}
    exec(textwrap.dedent(source), names)  # noqa: S102 the future import holds for a whole module

    assert names["Postponed"](email="ada@example.com").to_dict()["type"] == "declaration.postponed"


def test_messages_cannot_be_changed() -> None:
    event = Registered(email="ada@example.com")

    with pytest.raises(AttributeError):
        event.email = "other"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("body", "culprit"),
    [
        ({"version": 1}, "type is missing"),
        ({"type": "declaration.bad"}, "version is missing"),
        ({"type": 3, "version": 1}, "type is 3"),
        ({"type": "declaration.bad", "version": "x"}, "version is 'x'"),
        ({"type": "declaration.bad", "version": 0}, "versions begin at 1"),
        ({"type": "declaration.bad", "version": True}, "version is True"),
        ({"type": "declaration bad", "version": 1}, "characters"),
        ({"type": "", "version": 1}, "characters"),
        ({"type": "x" * 201, "version": 1}, "characters"),
        ({"__annotations__": {"type": str}, "version": 1}, "type is a payload field"),
        ({"__annotations__": {"version": int}, "type": "declaration.bad"}, "version is a payload field"),
        ({"__annotations__": {"upcast": str}, "type": "declaration.bad", "version": 1}, "hides the method upcast"),
    ],
)
def test_a_broken_declaration_is_refused_by_name_and_leaves_nothing_behind(body: dict[str, Any], culprit: str) -> None:
    with pytest.raises(ContractError, match=culprit) as refused:
        declare("Broken", body)

    assert "Broken" in str(refused.value)
    with pytest.raises(UnknownContract):
        IntegrationEvent.from_dict({"type": "declaration.bad", "version": 1})


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ContractError, match=r"type is 3.*version is 'x'.*key is 'nope'"):
        declare("Broken", {"type": 3, "version": "x"}, key="nope")


@pytest.mark.parametrize(
    ("keywords", "advice"),
    [
        ({"key": "nope"}, "key is 'nope', which is no field; there are email"),
        ({"tpye": "typo"}, "tpye is no class keyword; there are abstract"),
        ({"type": "declaration.keyword"}, "type is no class keyword; write it into the body"),
        ({"frozen": False}, "messages are immutable"),
        ({"array_like": True}, "a payload is an object"),
        ({"forbid_unknown_fields": True}, "unknown keys are ignored"),
        ({"tag": True}, "remove tag"),
        ({"rename": {"email": "type"}}, "renamed to type"),
        ({"abstract": True}, "an abstract class has no contract; remove type and version"),
    ],
)
def test_a_wrong_class_keyword_is_refused_with_advice(keywords: dict[str, Any], advice: str) -> None:
    body = {"__annotations__": {"email": str}, "type": "declaration.bad", "version": 1}

    with pytest.raises(ContractError, match=advice):
        declare("Broken", body, **keywords)


def test_a_contract_that_another_class_has_is_refused_naming_both() -> None:
    with pytest.raises(ContractError, match=r"Other: declaration.registered version 3 .*test_declaration\.Registered"):
        declare("Other", {"type": "declaration.registered", "version": 3})

    assert isinstance(
        IntegrationEvent.from_dict({"type": "declaration.registered", "version": 3, "email": "a"}), Registered
    )


def test_a_class_imported_anew_takes_its_own_place() -> None:
    first = declare("Reloaded", {"type": "declaration.reloaded", "version": 1})
    second = declare("Reloaded", {"type": "declaration.reloaded", "version": 1})

    assert first is not second
    assert type(IntegrationEvent.from_dict({"type": "declaration.reloaded", "version": 1})) is second


def test_a_module_may_be_run_as_a_script_and_imported(tmp_path: Path) -> None:
    script = tmp_path / "shop.py"
    script.write_text(
        textwrap.dedent("""
            from events_core.messages import IntegrationEvent

            class Sold(IntegrationEvent):
                type = "shop.sold"
                version = 1

            if __name__ == "__main__":
                import shop
                print(shop.Sold is not Sold)
        """)
    )

    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)

    assert ran.stdout == "True\n", ran.stderr


def test_a_base_without_a_contract_gives_its_fields_on() -> None:
    class OrderEvent(IntegrationEvent, key="order_id", abstract=True):
        order_id: int

    class OrderPlaced(OrderEvent):
        type = "declaration.order_placed"
        version = 1
        total: int

    assert OrderPlaced(order_id=1, total=2).to_dict()["order_id"] == 1
    with pytest.raises(ContractError, match="abstract"):
        OrderEvent(order_id=1).to_dict()


def test_a_class_derived_from_a_concrete_event_needs_a_contract_of_its_own() -> None:
    with pytest.raises(ContractError, match="type is missing"):
        declare("Special", {}, base=Registered)


@pytest.mark.parametrize("kind", [Command, DomainEvent])
def test_commands_and_domain_events_are_called_like_their_class(kind: type[Message]) -> None:
    cls = declare("Anything", {}, base=kind)

    assert (cls.type, cls.version) == ("Anything", 1)
    assert isinstance(kind.from_dict({"type": "Anything", "version": 1}), cls)


def test_domain_events_of_one_name_live_side_by_side_until_one_is_looked_up() -> None:
    declare("Twin", {"__qualname__": "Left.Twin"}, base=DomainEvent)
    declare("Twin", {"__qualname__": "Right.Twin"}, base=DomainEvent)

    with pytest.raises(
        UnknownContract, match=r'Left.Twin and .*Right.Twin share that name; give each its own: type = "'
    ):
        DomainEvent.from_dict({"type": "Twin", "version": 1})


def test_a_domain_event_holds_rich_objects() -> None:
    class Basket:
        pass

    class Filled(DomainEvent):
        basket: Basket

    basket = Basket()
    assert Filled(basket=basket).basket is basket


def test_a_command_and_an_event_may_share_a_type() -> None:
    command = declare("Sharing", {"type": "declaration.shared"}, base=Command)
    event = declare("Shared", {"type": "declaration.shared"}, base=DomainEvent)

    assert isinstance(Command.from_dict({"type": "declaration.shared", "version": 1}), command)
    assert isinstance(DomainEvent.from_dict({"type": "declaration.shared", "version": 1}), event)


def test_a_message_must_be_of_a_kind() -> None:
    with pytest.raises(ContractError, match="derive from Command, DomainEvent or IntegrationEvent"):
        declare("Kindless", {}, base=Message)


def test_an_enumeration_may_hold_the_type_names() -> None:
    class Types(StrEnum):
        SOLD = "declaration.enumerated"

    cls = declare("Enumerated", {"type": Types.SOLD, "version": 1})

    assert type(cls.type) is str
    assert cls.type == "declaration.enumerated"


def test_msgspec_options_are_class_keywords() -> None:
    class Sparse(IntegrationEvent, omit_defaults=True, rename="camel"):
        type = "declaration.sparse"
        version = 1
        first_name: str
        nick: str | None = None

    assert Sparse(first_name="Ada").to_dict() == {"type": "declaration.sparse", "version": 1, "firstName": "Ada"}
    assert msgspec.structs.replace(Sparse(first_name="Ada"), nick="a").nick == "a"
