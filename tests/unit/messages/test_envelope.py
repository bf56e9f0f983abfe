"""Envelopes, and the CloudEvents headers they become."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import msgspec
import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from events_core.errors import InvalidHeaders, InvalidPayload, MalformedMessage, MessageError
from events_core.messages import (
    CLOUDEVENTS_ATTRIBUTES,
    Envelope,
    IntegrationEvent,
    JsonCodec,
    Sealer,
    check_envelope,
    check_headers,
    from_headers,
    key_of,
    to_headers,
)

CODEC = JsonCodec()
NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC).timestamp()


class Colour(Enum):
    RED = "red"


class Paid(IntegrationEvent, key="account"):
    type = "envelope.paid"
    version = 2
    account: object


class Ticked(IntegrationEvent):
    type = "envelope.ticked"
    version = 1


def sealed(event: IntegrationEvent | None = None, **options: object) -> Envelope:
    source = options.pop("source", "bank")
    sealer = Sealer(CODEC, source)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given = {"id": "e-1", "time": NOON, **options}
    return sealer.seal(event or Ticked(), **given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def received(headers: dict[str, str], body: bytes = b"{}") -> Envelope:
    return from_headers(headers, body, codec=CODEC, fallback_id="made-here")


def test_headers_are_cloudevents_attributes_and_the_senders_own() -> None:
    envelope = sealed(Paid(account="a"), correlation_id="c", causation_id="d", headers={"traceparent": "00-1"})

    assert to_headers(envelope) == {
        "specversion": "1.0",
        "id": "e-1",
        "type": "envelope.paid",
        "source": "bank",
        "time": "2026-11-21T12:00:00.250Z",
        "datacontenttype": "application/json",
        "partitionkey": "a",
        "eventversion": "2",
        "correlationid": "c",
        "causationid": "d",
        "traceparent": "00-1",
    }
    assert to_headers(envelope).keys() - {"traceparent"} == CLOUDEVENTS_ATTRIBUTES


def test_a_keyless_envelope_has_no_attributes_for_what_it_lacks() -> None:
    assert to_headers(sealed()).keys() == CLOUDEVENTS_ATTRIBUTES - {"partitionkey", "correlationid", "causationid"}


def test_an_envelope_comes_back_from_its_headers() -> None:
    envelope = sealed(Paid(account="a"), correlation_id="c", causation_id="d", headers={"traceparent": "00-1"})

    assert received(to_headers(envelope), envelope.body) == envelope


def test_the_time_is_cut_to_milliseconds() -> None:
    assert to_headers(sealed(time=NOON + 0.0009))["time"] == "2026-11-21T12:00:00.250Z"
    assert to_headers(sealed(time=float(int(NOON))))["time"] == "2026-11-21T12:00:00.000Z"


def test_the_cloudevents_sdk_reads_what_we_write() -> None:
    envelope = sealed(Paid(account="a"), headers={"traceparent": "00-1"})
    headers = to_headers(envelope)
    properties = {f"ce-{name}": value for name, value in headers.items() if name in CLOUDEVENTS_ATTRIBUTES}
    message = RabbitMQMessage(headers=properties, body=envelope.body, content_type=properties.pop("ce-datacontenttype"))

    event = from_binary(message, JSONFormat())

    assert (event.get_id(), event.get_type(), event.get_source()) == ("e-1", "envelope.paid", "bank")
    assert event.get_time() == datetime.fromtimestamp(NOON, UTC)
    assert (event.get_extension("partitionkey"), event.get_extension("eventversion")) == ("a", "2")
    assert event.get_data() == {"type": "envelope.paid", "version": 2, "account": "a"}


def test_a_stranger_without_headers_is_understood_from_its_body() -> None:
    envelope = received({}, b'{"type": "envelope.paid", "version": 3}')

    assert (envelope.id, envelope.type, envelope.version) == ("made-here", "envelope.paid", 3)
    assert (envelope.time, envelope.source, envelope.key, envelope.headers) == (0.0, "", None, {})
    assert "time" not in to_headers(envelope)


@pytest.mark.parametrize(
    ("headers", "body", "version"),
    [
        ({"eventversion": "4"}, b"not even json", 4),
        ({}, b'{"type": "envelope.paid", "version": 5}', 5),
        ({}, b'{"type": "something.else", "version": 5}', 1),
        ({}, b"not even json", 1),
        ({"eventversion": "x"}, b'{"type": "envelope.paid", "version": 5}', 5),
    ],
)
def test_a_version_missing_in_the_headers_is_read_from_the_body_or_one(
    headers: dict[str, str], body: bytes, version: int
) -> None:
    assert received({"type": "envelope.paid", **headers}, body).version == version


def test_bytes_that_nobody_names_are_malformed() -> None:
    with pytest.raises(MalformedMessage):
        received({}, b"\x00")
    with pytest.raises(MessageError):
        received({}, b"{}")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_unknown(text: str) -> None:
    assert received({"type": "t", "time": text}).time == 0.0


def test_a_time_is_kept_to_the_letter_in_copies() -> None:
    assert to_headers(received({"type": "t", "time": "2026-11-21T14:00:00.123456+02:00"}))["time"].endswith(
        "123456+02:00"
    )


def test_an_envelope_with_an_unreadable_time_cannot_be_sent() -> None:
    with pytest.raises(InvalidHeaders, match="time is 'yesterday'; write it as in"):
        check_envelope(msgspec.structs.replace(sealed(), sent="yesterday"))


def test_one_sealer_writes_every_time_like_a_new_one() -> None:
    sealer = Sealer(CODEC, "bank")
    for time in (NOON, NOON + 0.0009, NOON + 0.7, NOON + 1, NOON - 3600, 0.001):
        envelope = sealer.seal(Ticked(), id="e-1", time=time)
        assert envelope == sealed(time=time)
        assert 0 <= time - envelope.time < 0.001


def test_a_time_without_zone_is_utc_and_other_zones_are_understood() -> None:
    assert received({"type": "t", "time": "2026-11-21T12:00:00.250"}).time == NOON
    assert received({"type": "t", "time": "2026-11-21T14:00:00.250+02:00"}).time == NOON


def test_the_bus_keeps_its_own_headers_to_itself() -> None:
    headers = {"type": "t", "eventversion": "1", "events-attempt": "3", "tenant": "blue"}

    assert received(headers).headers == {"tenant": "blue"}


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("a", "a"),
        (Colour.RED, "red"),
        (7, "7"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 11, 21), "2026-11-21"),
        (None, None),
    ],
)
def test_the_key_is_the_key_field_as_readable_text(value: object, key: str | None) -> None:
    assert sealed(Paid(account=value)).key == key
    assert key_of(Paid(account=value)) == key


def test_a_key_given_to_seal_wins() -> None:
    assert sealed(Paid(account="a"), key="b").key == "b"


def test_a_value_that_makes_no_readable_key_is_refused_naming_the_field() -> None:
    with pytest.raises(InvalidPayload, match=r"Paid.account: a list makes no key"):
        sealed(Paid(account=["a"]))


@pytest.mark.parametrize("name", ["id", "source", "key", "correlation_id", "causation_id"])
@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("", "is empty"),
        ("a\nb", "control characters"),
        ("a\x00", "control characters"),
        ("\ud800", "control characters"),
        ("x" * 256, "over 255 bytes"),
        ("€" * 86, "over 255 bytes"),
        (7, "make it a str"),
    ],
)
def test_an_attribute_that_cannot_travel_is_refused_with_advice(name: str, value: object, advice: str) -> None:
    with pytest.raises(InvalidHeaders, match=f"{name.replace('_', ' ')} .*{advice}"):
        sealed(None, **{name: value})
    envelope = msgspec.structs.replace(sealed(), **{name: value})
    with pytest.raises(InvalidHeaders, match=advice):
        check_envelope(envelope)


@pytest.mark.parametrize("value", ["x" * 255, "€" * 85, "👩‍👩‍👧 family", "a b"])
def test_long_and_joyful_ids_travel(value: str) -> None:
    envelope = sealed(id=value, key=value)
    check_envelope(envelope)

    assert received(to_headers(envelope), envelope.body) == envelope


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        ({"a b": "x"}, "characters"),
        ({"": "x"}, "characters"),
        ({"x" * 65: "x"}, "characters"),
        ({"id": "x"}, "choose another name"),
        ({"Type": "x"}, "choose another name"),
        ({"events-attempt": "1"}, "choose another name"),
        ({"ce-tenant": "x"}, "choose another name"),
        ({"ce_tenant": "x"}, "choose another name"),
        ({"x-death": "x"}, "choose another name"),
        ({"CC": "x"}, "choose another name"),
        ({"tenant": 3}, "make it a str"),
        ({"tenant": "a\r\nb"}, "control characters"),
        ({"tenant": "x" * 16_384}, "16384"),
        ({f"h{n}": "€" * 100 for n in range(60)}, "16384"),
    ],
)
def test_headers_that_cannot_travel_are_refused_with_advice(headers: dict[str, str], advice: str) -> None:
    with pytest.raises(InvalidHeaders, match=advice):
        check_headers(headers)
    with pytest.raises(InvalidHeaders, match=advice):
        sealed(headers=headers)


def test_later_changes_to_the_callers_headers_do_not_reach_the_envelope() -> None:
    headers = {"tenant": "blue", "tracestate": ""}
    envelope = sealed(headers=headers)
    headers["tenant"] = "red"

    assert envelope.headers == {"tenant": "blue", "tracestate": ""}


def test_what_an_envelope_carries_does_not_show_in_its_description() -> None:
    assert "secret" not in repr(sealed(Paid(account="secret"), headers={"token": "secret"}))


def test_an_envelope_stamped_at_the_epoch_may_travel() -> None:
    check_envelope(sealed(time=0.0))
