"""to_dict and from_dict, and older events made into newer ones."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest

from events_core.errors import ContractError, InvalidPayload, UnknownContract
from events_core.messages import Decoders, IntegrationEvent, JsonCodec


class Colour(Enum):
    RED = "red"


class Address(msgspec.Struct, frozen=True):
    city: str


@dataclass(frozen=True)
class Price:
    amount: Decimal


class Rich(IntegrationEvent):
    type = "payloads.rich"
    version = 1
    id: UUID
    at: datetime
    on: date
    amount: Decimal
    colour: Colour
    address: Address
    price: Price
    blob: bytes
    counts: dict[int, list[Address]]
    note: str | None = None


RICH = Rich(
    id=UUID("6f1c1c8e-8a0b-4d3e-9a57-0d9c1b7f3c11"),
    at=datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC),
    on=date(2026, 11, 21),
    amount=Decimal("1.10"),
    colour=Colour.RED,
    address=Address("Roma"),
    price=Price(Decimal("9.90")),
    blob=b"\x00\xff",
    counts={1: [Address("Oslo")]},
)


class NameV1(IntegrationEvent):
    type = "payloads.name"
    version = 1
    name: str


class NameV2(IntegrationEvent):
    type = "payloads.name"
    version = 2
    first: str
    last: str


class NameV3(IntegrationEvent):
    type = "payloads.full_name"
    version = 3
    names: list[str]


@NameV2.upcast(NameV1)
def split(old: NameV1) -> NameV2:
    first, _, last = old.name.partition(" ")
    return NameV2(first=first, last=last)


@NameV3.upcast(NameV2)
def listed(old: NameV2) -> NameV3:
    return NameV3(names=[old.first, old.last])


V1_PAYLOAD: dict[str, object] = {"type": "payloads.name", "version": 1, "name": "Ada Lovelace"}


def test_a_payload_is_type_version_and_fields_in_plain_json_types() -> None:
    assert NameV1(name="Ada").to_dict() == {"type": "payloads.name", "version": 1, "name": "Ada"}
    assert json.loads(json.dumps(RICH.to_dict())) == RICH.to_dict()


def test_a_payload_holds_no_number_that_json_cannot_carry() -> None:
    class Weighed(IntegrationEvent):
        type = "payloads.weighed"
        version = 1
        weights: tuple[float, ...]

    assert Weighed(weights=(1.5,)).to_dict()["weights"] == [1.5]
    with pytest.raises(InvalidPayload, match=r"Weighed.weights\[0\]: JSON cannot carry nan"):
        Weighed(weights=(math.nan,)).to_dict()


def test_rich_types_round_trip_as_dict_and_as_body() -> None:
    codec = JsonCodec()

    assert IntegrationEvent.from_dict(json.loads(json.dumps(RICH.to_dict()))) == RICH
    assert codec.decoder(Rich)(codec.encode(RICH)) == RICH


def test_unknown_keys_are_ignored_and_the_payload_is_left_as_it_is() -> None:
    payload = {**V1_PAYLOAD, "more": [1]}
    before = json.dumps(payload)

    assert IntegrationEvent.from_dict(payload) == NameV1(name="Ada Lovelace")
    assert json.dumps(payload) == before


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"type": None}, "type", "must be a str"),
        ({"version": None}, "version", "must be an int"),
        ({"version": True}, "version", "must be an int"),
        ({"version": "1"}, "version", "must be an int"),
        ({"name": 3}, "name", "Expected `str`, got `int`"),
    ],
)
def test_a_payload_that_does_not_fit_names_class_field_and_reason(
    change: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(InvalidPayload) as refused:
        NameV1.from_dict({**V1_PAYLOAD, **change})

    assert (refused.value.contract, refused.value.field) == ("NameV1", field)
    assert reason in refused.value.reason


def test_a_missing_and_a_nested_field_are_named_by_their_path() -> None:
    no_city: dict[str, str] = {}
    with pytest.raises(InvalidPayload) as missing:
        NameV1.from_dict({"type": "payloads.name", "version": 1})
    with pytest.raises(InvalidPayload) as nested:
        Rich.from_dict(RICH.to_dict() | {"counts": {"1": [no_city]}})

    assert (missing.value.field, missing.value.reason) == ("name", "the field is missing")
    assert nested.value.field == "counts[...][0].city"


def test_something_that_is_no_mapping_is_an_invalid_payload() -> None:
    with pytest.raises(InvalidPayload, match="a payload is a mapping"):
        IntegrationEvent.from_dict([])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_an_unknown_contract_says_which_versions_are_known() -> None:
    with pytest.raises(UnknownContract, match="known here: version 1, 2") as unknown:
        IntegrationEvent.from_dict({"type": "payloads.name", "version": 9})

    assert (unknown.value.type, unknown.value.version) == ("payloads.name", 9)


def test_a_concrete_class_refuses_the_payload_of_another_contract() -> None:
    with pytest.raises(UnknownContract, match="no upcast leads there"):
        NameV1.from_dict({"type": "payloads.name", "version": 2, "first": "Ada", "last": "L"})


def test_a_base_refuses_the_payload_of_a_class_outside_it() -> None:
    class Narrow(IntegrationEvent, abstract=True):
        pass

    with pytest.raises(UnknownContract, match="NameV1 is no Narrow"):
        Narrow.from_dict(V1_PAYLOAD)


def test_versions_live_side_by_side() -> None:
    assert isinstance(IntegrationEvent.from_dict(V1_PAYLOAD), NameV1)
    payload: dict[str, object] = {"type": "payloads.name", "version": 2, "first": "A", "last": "L"}
    assert isinstance(IntegrationEvent.from_dict(payload), NameV2)


def test_an_older_payload_comes_through_a_chain_of_upcasts() -> None:
    assert NameV2.from_dict(V1_PAYLOAD) == NameV2(first="Ada", last="Lovelace")
    assert NameV3.from_dict(V1_PAYLOAD) == NameV3(names=["Ada", "Lovelace"])


def test_decoders_take_old_events_to_the_nearest_wanted_class() -> None:
    codec = JsonCodec()
    body = codec.encode(NameV1(name="Ada Lovelace"))

    newest = Decoders(codec, [NameV3])
    both = Decoders(codec, [NameV2, NameV3])
    old_too = Decoders(codec, [NameV1, NameV3])

    assert newest.types == {"payloads.name", "payloads.full_name"}
    assert newest.decode("payloads.name", 1, body) == NameV3(names=["Ada", "Lovelace"])
    assert isinstance(both.decode("payloads.name", 1, body), NameV2)
    assert isinstance(old_too.decode("payloads.name", 1, body), NameV1)


def test_a_second_upcast_for_the_same_pair_is_refused() -> None:
    with pytest.raises(ContractError, match=r"split and .*again; keep one"):

        @NameV2.upcast(NameV1)
        def again(old: NameV1) -> NameV2:
            return split(old)


def test_upcasts_in_a_circle_are_refused() -> None:
    with pytest.raises(ContractError, match="closes a circle"):

        @NameV1.upcast(NameV3)
        def back(old: NameV3) -> NameV1:
            return NameV1(name=" ".join(old.names))

    with pytest.raises(ContractError, match="closes a circle"):

        @NameV1.upcast(NameV1)
        def same(old: NameV1) -> NameV1:
            return old

    assert NameV3.from_dict(V1_PAYLOAD) == NameV3(names=["Ada", "Lovelace"])


def test_an_async_upcast_is_refused() -> None:
    with pytest.raises(ContractError, match="plain function"):

        @NameV3.upcast(NameV1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        async def later(old: NameV1) -> NameV3:
            return NameV3(names=[old.name])


def test_an_upcast_that_fails_is_an_invalid_payload_with_its_cause() -> None:
    class OldV1(IntegrationEvent):
        type = "payloads.failing"
        version = 1

    class NewV2(IntegrationEvent):
        type = "payloads.failing"
        version = 2

    @NewV2.upcast(OldV1)
    def fail(old: OldV1) -> NewV2:
        raise LookupError(old.type)

    with pytest.raises(InvalidPayload, match=r"upcast .*fail failed: LookupError") as failed:
        NewV2.from_dict(OldV1().to_dict())
    assert isinstance(failed.value.__cause__, LookupError)
