"""An event as a Kafka record: CloudEvents in binary mode, with headers as the Kafka binding spells them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from events_core.messages import CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Delivery, Settlement, Wire
from events_kafka.library import Record

__all__ = ["RETURNS", "copy_of", "handed_back", "headers_of", "key_of", "origin_of", "read", "returns_of", "type_of"]

RETURNS: Final = "events-kafka-returns"
"""How often the record that this one is a copy of was handed out and came back."""
_DIGITS: Final = 9
_CONTENT_TYPE: Final = "datacontenttype"


def key_of(wire: Wire) -> bytes | None:
    """What chooses the partition."""
    return None if wire.key is None else wire.key.encode()


def headers_of(wire: Wire) -> Sequence[tuple[str, bytes]]:
    """The record's headers."""
    return [(_spelled(name), value.encode()) for name, value in wire.headers.items()]


def read(record: Record) -> Wire:
    """Understand a record, whoever wrote it. A header that is no text is read as far as it goes."""
    headers = {_unspelled(name): (value or b"").decode(errors="replace") for name, value in record.headers}
    headers.pop(RETURNS, None)
    if record.key is not None:
        headers.setdefault("partitionkey", record.key.decode(errors="replace"))
    return Wire(headers, record.value or b"", headers.get("partitionkey"))


def type_of(record: Record) -> str | None:
    """The type that the headers name."""
    named = (value for name, value in record.headers if _unspelled(name) == "type")
    return next((value.decode(errors="replace") for value in named if value), None)


def origin_of(record: Record) -> str:
    """The broker's own name for it."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def returns_of(record: Record) -> int:
    """How often earlier copies were handed out and came back."""
    told = next((value for name, value in record.headers if name == RETURNS), None) or b""
    return int(told[:_DIGITS]) if told.isdigit() else 0


def copy_of(settlement: Settlement) -> Wire:
    """The event that a retry or dead letter becomes."""
    wire = settlement.delivery.wire
    return Wire(wire.headers if settlement.headers is None else settlement.headers, wire.body, wire.key)


def handed_back(delivery: Delivery) -> Wire:
    """The same event with its count, and with its name where it has none of its own."""
    wire = delivery.wire
    return Wire({"id": delivery.origin, **wire.headers, RETURNS: str(delivery.starts - 1)}, wire.body, wire.key)


@lru_cache(maxsize=1024)
def _spelled(name: str) -> str:
    if name == _CONTENT_TYPE:
        return "content-type"
    return f"ce_{name}" if name in CLOUDEVENTS_ATTRIBUTES else name


@lru_cache(maxsize=1024)
def _unspelled(name: str) -> str:
    if name == "content-type":
        return _CONTENT_TYPE
    attribute = name.removeprefix("ce_")
    return attribute if attribute in CLOUDEVENTS_ATTRIBUTES else name
