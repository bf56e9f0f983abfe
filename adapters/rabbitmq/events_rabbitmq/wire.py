"""An event as an AMQP message: CloudEvents in binary mode, with headers as RabbitMQ's binding spells them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, cast

from events_core.messages import BUS_PREFIX, CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Delivery, Wire
from events_rabbitmq.amqp.content import Content, named, properties, table
from events_rabbitmq.amqp.inbox import Arrived, Inbox

__all__ = ["encode", "handed_back", "is_held", "read", "tag_of"]

_CONTENT_TYPE: Final = "datacontenttype"
_DIGITS: Final = 10
_RETURNS: Final = "x-delivery-count"
_EARLIER_RETURNS: Final = "x-events-returns"
"""Those of the message that this one is a copy of."""
_BESIDE: Final = 1024
"""Bytes of a header frame that the table does not take."""
_PREFIXES: Final = ("ce-", "cloudEvents:", "cloudEvents_")
# What the broker wrote: copied to a new message it would be believed again (rabbitmq-server#12935).
_BROKERS_OWN: Final = ("x-death", "x-first-death", "x-last-death", "x-acquired-count", _RETURNS, _EARLIER_RETURNS)


def encode(wire: Wire, frame_max: int) -> Content:
    """The message that carries an event. Headers that do not fit a frame are left out, those of strangers first."""
    headers = _table(wire.headers)
    if len(headers) > frame_max - _BESIDE:
        headers = _table(_fitting(wire.headers, frame_max - _BESIDE))
    return Content(wire.headers.get(_CONTENT_TYPE, "application/octet-stream").encode()[:255], headers, wire.body)


def read(arrived: Arrived, lane: str, inbox: Inbox) -> Delivery:
    """Understand a message, whoever sent it. Headers that are no text become text; what cannot is left out.

    A message without an id is called by a digest, the same at every redelivery.
    """
    content_type, table, message_id = properties(arrived.properties)
    headers: dict[str, str] = {}
    for name, value in table.items():
        if not name.startswith(_BROKERS_OWN) and (text := _text(value)) is not None:
            headers[_unspelled(name)] = text
    if content_type:
        headers[_CONTENT_TYPE] = content_type
    starts = 1 + _count(table.get(_RETURNS)) + _count(table.get(_EARLIER_RETURNS))
    wire = Wire(headers, arrived.body, headers.get("partitionkey"))
    return Delivery(wire, message_id or _digest(headers, arrived.body), starts, lane, (inbox, arrived.tag))


def tag_of(delivery: Delivery) -> int:
    """Its tag on the channel that handed it out."""
    return cast("tuple[Inbox, int]", delivery.token)[1]


def is_held(delivery: Delivery, inbox: Inbox) -> bool:
    """Whether it came from this inbox and is not settled."""
    owner, tag = cast("tuple[Inbox, int]", delivery.token)
    return owner is inbox and inbox.holds(tag)


def handed_back(delivery: Delivery) -> Wire:
    """The same event as a message that keeps its count, and its name where it has none of its own."""
    wire = delivery.wire
    return Wire(
        {"id": delivery.origin, **wire.headers, _EARLIER_RETURNS: str(delivery.starts - 1)}, wire.body, wire.key
    )


def _count(value: object) -> int:
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else 0


def _table(headers: Mapping[str, str]) -> bytes:
    return table((_spelled(name), value) for name, value in headers.items() if name != _CONTENT_TYPE)


def _fitting(headers: Mapping[str, str], room: int) -> Mapping[str, str]:
    sizes = {name: len(_table({name: value})) for name, value in headers.items()}
    excess = sum(sizes.values()) - room
    kept = dict(headers)
    for name in sorted(sizes, key=lambda name: (_importance(name), -sizes[name])):
        if excess > 0:
            excess -= sizes[name]
            del kept[name]
    return kept


def _importance(name: str) -> int:
    """Without its attempt an event would be retried for ever, without its type it could not be read."""
    if name in {"id", "type", "eventversion"}:
        return 2
    return 3 if name.startswith(BUS_PREFIX) else int(name in CLOUDEVENTS_ATTRIBUTES)


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
