"""Events as bytes, and what becomes of bytes that are no event."""

import json
import math

import msgspec
import pytest

from events_core.errors import ContractError, InvalidPayload, MalformedMessage, UnknownContract
from events_core.messages import Codec, Decoders, IntegrationEvent, JsonCodec


class Measured(IntegrationEvent):
    type = "codec.measured"
    version = 2
    station: str
    value: float = 0.0
    series: tuple[float | None, ...] = ()
    nested: dict[str, dict[str, float]] | None = None


class Bare(IntegrationEvent):
    type = "codec.bare"
    version = 1


class Sparse(IntegrationEvent, omit_defaults=True):
    type = "codec.sparse"
    version = 1
    note: str = ""


@pytest.fixture
def codec() -> Codec:
    return JsonCodec()


@pytest.mark.parametrize("event", [Measured(station="a", value=1.5), Bare(), Sparse(), Sparse(note="x")])
def test_a_body_is_the_json_of_to_dict(codec: Codec, event: IntegrationEvent) -> None:
    body = codec.encode(event)

    expected = event.to_dict()
    assert json.loads(body) == expected == json.loads(json.dumps(expected))
    assert list(json.loads(body))[:2] == ["type", "version"]
    assert codec.decoder(event.__class__)(body) == event


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("field", "path"), [("value", "value"), ("series", "series[1]"), ("nested", "nested['a']['b']")]
)
def test_what_json_cannot_carry_is_refused_naming_the_field(codec: Codec, number: float, field: str, path: str) -> None:
    values = {"value": number, "series": (None, number), "nested": {"a": {"b": number}}}
    event = Measured(**{"station": "null", field: values[field]})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    with pytest.raises(InvalidPayload) as refused:
        codec.encode(event)

    assert (refused.value.contract, refused.value.field) == ("Measured", path)


def test_nothing_is_written_as_null(codec: Codec) -> None:
    assert json.loads(codec.encode(Measured(station="null", series=(None,))))["series"] == [None]


def test_a_value_without_json_form_is_refused_naming_the_field(codec: Codec) -> None:
    event = Measured(station=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    with pytest.raises(InvalidPayload) as refused:
        codec.encode(event)

    assert refused.value.field == "station"


def test_half_a_surrogate_pair_is_refused_naming_the_field(codec: Codec) -> None:
    with pytest.raises(InvalidPayload) as refused:
        codec.encode(Measured(station="\ud800"))

    assert refused.value.field == "station"


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b'"text"', b"{", b"\xff\x00", b'{"station": "a"} trailing', b'{"a": \xff}', b"[" * 100_000]
)
def test_bytes_that_are_no_json_object_are_malformed(codec: Codec, body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Decoders(codec, [Measured]).decode("codec.measured", 2, body)
    with pytest.raises(MalformedMessage):
        codec.peek(body)


def test_fields_that_do_not_fit_name_class_field_and_reason(codec: Codec) -> None:
    with pytest.raises(InvalidPayload) as refused:
        Decoders(codec, [Measured]).decode("codec.measured", 2, b'{"station": "a", "series": ["x"]}')

    assert (refused.value.contract, refused.value.field) == ("Measured", "series[0]")


def test_peek_reads_type_and_version_and_nothing_else(codec: Codec) -> None:
    assert codec.peek(b'{"station": 3, "version": 7, "type": "codec.measured"}') == ("codec.measured", 7)
    assert codec.peek(b'{"type": "codec.measured"}') == ("codec.measured", 1)
    with pytest.raises(InvalidPayload):
        codec.peek(b'{"station": "a"}')


def test_an_abstract_class_can_be_neither_sent_nor_received(codec: Codec) -> None:
    class Undeclared(IntegrationEvent, abstract=True):
        pass

    with pytest.raises(ContractError, match="Undeclared is abstract"):
        codec.encode(Undeclared())
    with pytest.raises(ContractError, match="Undeclared is abstract"):
        Decoders(codec, [Undeclared])


def test_a_class_that_cannot_be_decoded_is_refused_when_the_decoder_is_built(codec: Codec) -> None:
    class Cat(msgspec.Struct):
        lives: int

    class Dog(msgspec.Struct):
        tricks: int

    class Union(IntegrationEvent):
        type = "codec.union"
        version = 1
        pet: Cat | Dog

    class Unresolved(IntegrationEvent):
        type = "codec.unresolved"
        version = 1
        pet: "Elephant"  # type: ignore[name-defined]  # pyright: ignore[reportUndefinedVariable]  # noqa: F821

    with pytest.raises(ContractError, match=r"Union cannot be decoded: .*tagged"):
        Decoders(codec, [Union])
    with pytest.raises(ContractError, match=r"Unresolved cannot be decoded: .*Elephant"):
        Decoders(codec, [Unresolved])


def test_a_contract_that_the_registration_does_not_want_is_unknown_to_it(codec: Codec) -> None:
    decoders = Decoders(codec, [Measured])

    with pytest.raises(UnknownContract, match="this consumer reads version 2"):
        decoders.decode("codec.measured", 3, b"{}")
    with pytest.raises(UnknownContract):
        decoders.decode("codec.bare", 1, b"{}")
