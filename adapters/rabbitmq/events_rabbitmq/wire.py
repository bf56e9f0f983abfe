"""An event as an AMQP message: CloudEvents in binary mode, with headers as RabbitMQ's binding spells them."""

import hashlib
import struct
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from pamqp import decode

from events_core.messages import CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Wire

__all__ = ["Message", "encode", "message_id_of", "read"]

_LONG: Final = struct.Struct(">I")
_FRAME: Final = struct.Struct(">BHI")
_CONTENT: Final = struct.Struct(">HHQ")
_BASIC: Final = 60
_FRAME_END: Final = b"\xce"
_OVERHEAD: Final = 8
"""Bytes of a frame beside its payload."""
# content_type, headers, delivery_mode and message_id, in the order in which they follow (AMQP 0-9-1, 4.2.6.1).
_FLAGS: Final = struct.pack(">H", 1 << 15 | 1 << 13 | 1 << 12 | 1 << 7)
_PERSISTENT: Final = b"\x02"
_CONTENT_TYPE: Final = "datacontenttype"
_COUNT: Final = "x-delivery-count"
_PREFIXES: Final = ("ce-", "cloudEvents:", "cloudEvents_")
# What the broker wrote: copied to a new message it would be believed again (rabbitmq-server#12935).
_BROKERS_OWN: Final = ("x-death", "x-first-death", "x-last-death", "x-acquired-count", _COUNT)


class Message:
    """What arrived: an event without prefixes, and what the broker and the sender say of it."""

    __slots__ = ("origin", "returns", "wire")

    def __init__(self, wire: Wire, origin: str, returns: int) -> None:
        self.wire: Wire = wire
        self.origin: str = origin
        """Its message id; else a digest, the same at every redelivery."""
        self.returns: int = returns
        """How often it was handed out and came back."""


def encode(wire: Wire, *, channel: int, message_id: str, frame_max: int) -> list[bytes]:
    """The frames of a persistent message behind its publish method: one header, the body in pieces."""
    content_type = wire.headers.get(_CONTENT_TYPE, "application/octet-stream").encode()[:255]
    table = _table(wire.headers)
    identity = message_id.encode()
    header = b"".join((
        _CONTENT.pack(_BASIC, 0, len(wire.body)), _FLAGS, bytes((len(content_type),)), content_type,
        table, _PERSISTENT, bytes((len(identity),)), identity,
    ))  # fmt: skip
    frames = [_FRAME.pack(2, channel, len(header)), header, _FRAME_END]
    size = frame_max - _OVERHEAD
    for start in range(0, len(wire.body), size):
        piece = wire.body[start : start + size]
        frames += (_FRAME.pack(3, channel, len(piece)), piece, _FRAME_END)
    return frames


def read(properties: bytes, body: bytes) -> Message:
    """Understand a message, whoever sent it. Headers that are no text become text; what cannot is left out."""
    try:
        content_type, table, message_id = _properties(properties)
    except (struct.error, ValueError, IndexError):
        content_type, table, message_id = "", {}, ""
    returns = table.get(_COUNT)
    headers = _headers(table)
    if content_type:
        headers[_CONTENT_TYPE] = content_type
    origin = message_id or _digest(headers, body)
    wire = Wire(headers, body, headers.get("partitionkey"))
    return Message(wire, origin, returns if isinstance(returns, int) else 0)


def message_id_of(properties: bytes) -> str:
    """The message id alone."""
    return _properties(properties)[2]


def _table(headers: Mapping[str, str]) -> bytes:
    parts: list[bytes] = [b""]
    for name, value in headers.items():
        if name != _CONTENT_TYPE:
            text = value.encode()
            parts += (_spelled(name), _LONG.pack(len(text)), text)
    parts[0] = _LONG.pack(sum(map(len, parts)))
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _spelled(name: str) -> bytes:
    """A header's name as it precedes a long string."""
    spelled = (f"ce-{name}" if name in CLOUDEVENTS_ATTRIBUTES else name).encode()
    return bytes((len(spelled),)) + spelled + b"S"


@lru_cache(maxsize=1024)
def _unspelled(spelled: bytes) -> str:
    name = spelled.decode(errors="replace")
    for prefix in _PREFIXES:
        if name.startswith(prefix) and (attribute := name[len(prefix) :]) in CLOUDEVENTS_ATTRIBUTES:
            return attribute
    return name


def _properties(data: bytes) -> tuple[str, dict[str, object], str]:
    """Content type, headers and message id; what lies between and behind them is passed over."""
    flags = int.from_bytes(data[:2], "big")
    position = 2
    if flags & 1:
        raise ValueError("a second word of property flags, which AMQP 0-9-1 does not use")
    texts: dict[int, str] = {}
    table: dict[str, object] = {}
    for bit in range(15, 6, -1):
        if not flags >> bit & 1:
            continue
        if bit == 13:  # noqa: PLR2004 the bits are those of AMQP's table of properties: here the headers
            position, table = _read_table(data, position)
        elif bit in {12, 11}:
            position += 1
        else:
            end = position + 1 + data[position]
            texts[bit] = data[position + 1 : end].decode(errors="replace")
            position = end
    return texts.get(15, ""), table, texts.get(7, "")


def _read_table(data: bytes, position: int) -> tuple[int, dict[str, object]]:
    end = position + 4 + _LONG.unpack_from(data, position)[0]
    position += 4
    table: dict[str, object] = {}
    while position < end:
        after = position + 1 + data[position]
        name = _unspelled(data[position + 1 : after])
        if data[after : after + 1] == b"S":
            start = after + 5
            position = start + _LONG.unpack_from(data, after + 1)[0]
            table[name] = data[start:position].decode(errors="replace")
        else:
            consumed, table[name] = decode.embedded_value(data[after:end])
            position = after + consumed
    return end, table


def _headers(table: Mapping[str, object]) -> dict[str, str]:
    texts = ((name, _text(value)) for name, value in table.items() if not name.startswith(_BROKERS_OWN))
    return {name: text for name, text in texts if text is not None}


def _text(value: object) -> str | None:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float() | Decimal() | datetime():
            return str(value)
        case bytes() | bytearray():
            return value.decode(errors="replace")
        case _:
            return None


def _digest(headers: Mapping[str, str], body: bytes) -> str:
    digest = hashlib.sha256(body)
    for name in sorted(headers):
        digest.update(f"\0{name}\0{headers[name]}".encode())
    return digest.hexdigest()[:32]
