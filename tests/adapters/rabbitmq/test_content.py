"""Our frames and properties against pamqp's."""

import random
import struct
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pamqp import commands, frame, header
from pamqp.body import ContentBody
from pamqp.common import FieldTable

from events_core.ports import Delivery, Wire
from events_rabbitmq.amqp.content import Properties, frames, named, properties, table
from events_rabbitmq.amqp.inbox import Arrived, Inbox
from events_rabbitmq.wire import encode, read

EVENT = Wire(
    {
        "id": "1",
        "type": "users.registered",
        "datacontenttype": "application/json",
        "partitionkey": "ada",
        "tenant": "grün 🚀",
        "traceparent": "00-1",
        "events-attempt": "2",
    },
    b'{"type":"users.registered"}',
    "ada",
)
EVERY_KIND: FieldTable = {
    "text": "grün",
    "empty": "",
    "int": 1,
    "long": 2**40,
    "negative": -3,
    "yes": True,
    "bytes": bytearray(b"\xff\x00"),
    "decimal": Decimal("1.25"),
    "float": 0.5,
    "moment": datetime(2026, 11, 21, tzinfo=UTC),
    "nothing": None,
    "list": ["a", 1, [True]],
    "table": {"a": {"b": "c"}},
}


def arrived(properties: bytes, body: bytes) -> Delivery:
    """A message as a feed hands it out."""
    return read(Arrived(1, properties, body), "q", Inbox())


def told(**values: object) -> bytes:
    """The properties of a message as pamqp writes them."""
    return commands.Basic.Properties(**values).marshal()  # type: ignore[arg-type]


def decoded(parts: list[bytes]) -> list[frame.FrameTypes]:
    """The frames that follow each other in these bytes."""
    data = b"".join(parts)
    found: list[frame.FrameTypes] = []
    while data:
        consumed, channel, each = frame.unmarshal(data)
        assert channel == 7
        found.append(each)
        data = data[consumed:]
    return found


def written(wire: Wire, *, frame_max: int = 131_072) -> tuple[header.ContentHeader, list[bytes]]:
    """The header and the pieces of the body that an event becomes."""
    first, *rest = decoded(frames(encode(wire, frame_max), channel=7, message_id="me-1", frame_max=frame_max))
    assert isinstance(first, header.ContentHeader)
    return first, [each.value for each in rest if isinstance(each, ContentBody)]


def test_an_event_is_a_persistent_message_with_prefixed_attributes() -> None:
    content, pieces = written(EVENT)
    assert content.body_size == len(EVENT.body)
    assert content.properties.content_type == "application/json"
    assert content.properties.delivery_mode == 2
    assert content.properties.message_id == "me-1"
    assert content.properties.headers == {
        "ce-id": "1",
        "ce-type": "users.registered",
        "ce-partitionkey": "ada",
        "tenant": "grün 🚀",
        "traceparent": "00-1",
        "events-attempt": "2",
    }
    assert pieces == [EVENT.body]


@pytest.mark.parametrize("size", [0, 1, 4_087, 4_088, 4_089, 20_000])
def test_a_body_is_cut_into_frames_that_fit(size: int) -> None:
    body = bytes(place % 251 for place in range(size))
    content, pieces = written(Wire({"type": "t"}, body), frame_max=4_096)
    assert content.body_size == size
    assert b"".join(pieces) == body
    assert all(len(piece) + 8 <= 4_096 for piece in pieces)


def test_what_is_written_is_read_again() -> None:
    content, (body,) = written(EVENT)
    message = arrived(content.properties.marshal(), body)
    assert message.wire == EVENT
    assert (message.origin, message.starts) == ("me-1", 1)


def test_headers_of_every_kind_are_read_as_pamqp_writes_them() -> None:
    assert properties(told(headers=EVERY_KIND)).headers == EVERY_KIND


def test_every_other_property_is_stepped_over() -> None:
    data = told(
        content_type="text/plain",
        content_encoding="gzip",
        headers={"a": "b"},
        delivery_mode=2,
        priority=9,
        correlation_id="c",
        reply_to="r",
        expiration="1000",
        message_id="m",
        timestamp=datetime(2026, 11, 21, tzinfo=UTC),
        message_type="t",
        user_id="u",
        app_id="p",
    )
    assert properties(data) == Properties("text/plain", {"a": "b"}, "m")


def test_a_message_without_properties_has_none() -> None:
    assert properties(told()) == Properties("", {}, "")


def test_malformed_properties_are_none_and_never_an_error() -> None:
    randomness = random.Random(5)
    whole = told(content_type="application/json", headers=EVERY_KIND, delivery_mode=2, message_id="m")
    for _ in range(20_000):
        broken = bytearray(whole[: randomness.randrange(len(whole) + 1)])
        for _ in range(randomness.randrange(4)):
            if broken:
                broken[randomness.randrange(len(broken))] = randomness.randrange(256)
        assert isinstance(arrived(bytes(broken), b"body").origin, str)


def test_a_moment_beyond_the_calendar_is_no_error() -> None:
    headers = b"\x04whenT" + struct.pack(">Q", 2**64 - 1)
    data = struct.pack(">HI", 1 << 13, len(headers)) + headers
    assert arrived(data, b"").wire.headers == {}


@pytest.mark.parametrize("prefix", ["ce-", "cloudEvents:", "cloudEvents_"])
def test_attributes_are_known_by_the_prefix_of_either_binding(prefix: str) -> None:
    headers: FieldTable = {f"{prefix}type": "t", f"{prefix}id": "1", f"{prefix}mine": "m"}
    assert arrived(told(headers=headers), b"").wire.headers == {"type": "t", "id": "1", f"{prefix}mine": "m"}


def test_what_the_broker_wrote_beside_an_event_is_left_out() -> None:
    headers: FieldTable = {
        "x-death": [{"queue": "q", "count": 3}],
        "x-first-death-queue": "q",
        "x-last-death-reason": "expired",
        "x-delivery-count": 4,
        "x-acquired-count": 5,
        "x-mine": "stays",
    }
    message = arrived(told(headers=headers), b"")
    assert message.wire.headers == {"x-mine": "stays"}
    assert message.starts == 5


def test_an_origin_without_a_message_id_is_that_of_the_same_content() -> None:
    # pamqp sorts, others do not.
    one, other = (
        struct.pack(">H", 1 << 13) + table((named(name), name.upper()) for name in names) for names in ("ab", "ba")
    )
    returned = told(headers={"a": "A", "b": "B", "x-delivery-count": 1})
    assert {arrived(each, b"body").origin for each in (one, other, returned)} == {arrived(one, b"body").origin}
    assert arrived(one, b"body").origin != arrived(one, b"other").origin
    assert arrived(one, b"body").origin != arrived(told(headers={"a": "A"}), b"body").origin


def test_headers_nested_beyond_reason_are_no_error() -> None:
    nested = b""
    for _ in range(20_000):
        nested = b"A" + struct.pack(">I", len(nested)) + nested
    headers = b"\x04deep" + nested
    data = struct.pack(">HI", 1 << 13, len(headers)) + headers
    assert arrived(data, b"").wire.headers == {}
