"""An event as an AMQP message: CloudEvents in binary mode, with headers as RabbitMQ's binding spells them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from events_core.messages import CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Delivery, Wire
from events_rabbitmq.amqp.content import Content, named, properties, table

__all__ = ["Message", "encode", "handed_back", "read"]

_CONTENT_TYPE: Final = "datacontenttype"
_RETURNS: Final = "x-delivery-count"
_EARLIER_RETURNS: Final = "x-events-returns"
"""Those of the message that this one is a copy of."""
_PREFIXES: Final = ("ce-", "cloudEvents:", "cloudEvents_")
# What the broker wrote: copied to a new message it would be believed again (rabbitmq-server#12935).
_BROKERS_OWN: Final = ("x-death", "x-first-death", "x-last-death", "x-acquired-count", _RETURNS, _EARLIER_RETURNS)


class Message(NamedTuple):
    """What arrived: an event without prefixes, and what the broker and the sender say of it."""

    wire: Wire
    origin: str
    """Its message id; else a digest, the same at every redelivery."""
    returns: int
    """How often it was handed out and came back."""


def encode(wire: Wire) -> Content:
    """The message that carries an event."""
    headers = table((_spelled(name), value) for name, value in wire.headers.items() if name != _CONTENT_TYPE)
    return Content(wire.headers.get(_CONTENT_TYPE, "application/octet-stream").encode()[:255], headers, wire.body)


def read(told: bytes, body: bytes) -> Message:
    """Understand a message, whoever sent it. Headers that are no text become text; what cannot is left out."""
    content_type, table, message_id = properties(told)
    headers: dict[str, str] = {}
    for name, value in table.items():
        if not name.startswith(_BROKERS_OWN) and (text := _text(value)) is not None:
            headers[_unspelled(name)] = text
    if content_type:
        headers[_CONTENT_TYPE] = content_type
    wire = Wire(headers, body, headers.get("partitionkey"))
    returns = _count(table.get(_RETURNS)) + _count(table.get(_EARLIER_RETURNS))
    return Message(wire, message_id or _digest(headers, body), returns)


def handed_back(delivery: Delivery) -> Wire:
    """The same event as a message that keeps its count, and its name where it has none of its own."""
    wire = delivery.wire
    return Wire(
        {"id": delivery.origin, **wire.headers, _EARLIER_RETURNS: str(delivery.starts - 1)}, wire.body, wire.key
    )


def _count(value: object) -> int:
    text = str(value)
    return int(text) if text.isdecimal() else 0


@lru_cache(maxsize=1024)
def _spelled(name: str) -> bytes:
    return named(f"ce-{name}" if name in CLOUDEVENTS_ATTRIBUTES else name)


@lru_cache(maxsize=1024)
def _unspelled(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix) and (attribute := name[len(prefix) :]) in CLOUDEVENTS_ATTRIBUTES:
            return attribute
    return name


def _text(value: object) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case int() | float() | Decimal() | datetime():
            return str(value)
        case _:
            return value.decode(errors="replace") if isinstance(value, bytes | bytearray) else None


def _digest(headers: Mapping[str, str], body: bytes) -> str:
    digest = hashlib.sha256(body)
    for name in sorted(headers):
        digest.update(f"\0{name}\0{headers[name]}".encode())
    return digest.hexdigest()[:32]
