"""Headers of kinds that no library agrees on: bytes made by hand."""

import struct

import pytest

from events_core.ports import Delivery
from events_rabbitmq.amqp.inbox import Arrived, Inbox
from events_rabbitmq.wire import read

BEYOND_THE_CALENDAR = b"T" + struct.pack(">Q", 2**64 - 1)
UNKNOWN_KIND = b"Z1234"
ID, TYPE, COUNT = (b"ce-id", b"e-1"), (b"ce-type", b"users.registered"), b"x-delivery-count"
EVERY_KIND = {
    "t": b"\x01",
    "b": b"\xff",
    "B": b"\x07",
    "s": b"\xff\xfe",
    "u": b"\x00\x07",
    "I": b"\xff\xff\xff\xfe",
    "i": b"\x00\x00\x00\x07",
    "l": b"\xff" * 8,
    "L": b"\x00" * 8,
    "f": struct.pack(">f", 0.5),
    "d": struct.pack(">d", 0.5),
    "D": b"\x02" + struct.pack(">I", 125),
    "T": struct.pack(">Q", 1_700_000_000),
    "V": b"",
    "S": struct.pack(">I", 3) + b"abc",
    "x": struct.pack(">I", 3) + b"\xff\x00\xff",
    "A": struct.pack(">I", 2) + b"t\x01",
    "F": struct.pack(">I", 4) + b"\x01at\x01",
}
"""Of RabbitMQ's list of field types, with a value each."""


def header(name: bytes, value: bytes) -> bytes:
    """An entry of a table; the value begins with its kind."""
    return bytes((len(name),)) + name + value


def text(name: bytes, value: bytes) -> bytes:
    return header(name, b"S" + struct.pack(">I", len(value)) + value)


def message(*headers: bytes) -> Delivery:
    """What is read of a message with these headers and the message id m-1."""
    table = b"".join(headers)
    flags = struct.pack(">H", 1 << 13 | 1 << 7)
    properties = flags + struct.pack(">I", len(table)) + table + b"\x03m-1"
    return read(Arrived(1, properties, b"{}"), "q", Inbox())


def is_read(told: Delivery) -> bool:
    """Whether all that the bus needs was understood."""
    names = (told.wire.headers.get("id"), told.wire.headers.get("type"))
    return (*names, told.starts, told.origin) == ("e-1", "users.registered", 4, "m-1")


@pytest.mark.parametrize("place", range(4))
def test_a_moment_beyond_the_calendar_costs_its_own_header_only(place: int) -> None:
    headers = [text(*ID), text(*TYPE), header(COUNT, b"I" + struct.pack(">i", 3))]
    headers.insert(place, header(b"when", BEYOND_THE_CALENDAR))
    told = message(*headers)
    assert is_read(told)
    assert told.wire.headers == {"id": "e-1", "type": "users.registered"}


def test_a_header_of_an_unknown_kind_costs_nothing_that_stands_before_it() -> None:
    """Its length is known to nobody, so that what follows it in the table is lost; not what follows the table."""
    told = message(text(*ID), text(*TYPE), header(COUNT, b"I" + struct.pack(">i", 3)), header(b"odd", UNKNOWN_KIND))
    assert is_read(told)
    assert "odd" not in told.wire.headers


def test_a_message_id_outlives_a_header_of_an_unknown_kind() -> None:
    assert message(header(b"odd", UNKNOWN_KIND), text(*ID)).origin == "m-1"


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_header_of_any_kind_hides_none_that_follows_it(kind: str) -> None:
    assert is_read(
        message(
            header(b"odd", kind.encode() + EVERY_KIND[kind]),
            text(*ID),
            text(*TYPE),
            header(COUNT, b"l" + struct.pack(">q", 3)),
        )
    )


@pytest.mark.parametrize("kind", ["A", "F"])
def test_a_malformed_value_inside_a_list_or_table_costs_its_own_header_only(kind: str) -> None:
    inner = UNKNOWN_KIND if kind == "A" else header(b"in", UNKNOWN_KIND)
    odd = header(b"odd", kind.encode() + struct.pack(">I", len(inner)) + inner)
    told = message(odd, text(*ID), text(*TYPE), header(COUNT, b"B\x03"))
    assert is_read(told)
    assert "odd" not in told.wire.headers


@pytest.mark.parametrize("name", [b"x-delivery-count", b"x-events-returns"])
@pytest.mark.parametrize(
    "digits",
    [b"9" * 5_000, "٣".encode(), b"-4", b"4.5", b""],
    ids=["5,000 digits", "not ASCII", "negative", "a fraction", "empty"],
)
def test_a_count_that_is_none_counts_nothing(name: bytes, digits: bytes) -> None:
    told = message(text(*ID), text(*TYPE), text(name, digits), header(b"odd", b"t\x01"))
    assert told.starts == 1
    assert told.wire.headers == {"id": "e-1", "type": "users.registered", "odd": "true"}
