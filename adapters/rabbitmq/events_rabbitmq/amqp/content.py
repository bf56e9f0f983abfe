"""A message's content in frames: a header with properties, and the body in pieces (AMQP 0-9-1, 2.3.5.2 and 4.2.6.1)."""

import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from pamqp import decode

__all__ = ["Content", "Properties", "frames", "named", "properties", "table"]

_LONG: Final = struct.Struct(">I")
_FRAME: Final = struct.Struct(">BHI")
_CONTENT: Final = struct.Struct(">HHQ")
_BASIC: Final = 60
_FRAME_END: Final = b"\xce"
_OVERHEAD: Final = 8
"""Bytes of a frame beside its payload."""
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _PRIORITY, _MESSAGE_ID = 15, 13, 12, 11, 7
"""The bits that say which properties follow, in this order."""
_FLAGS: Final = struct.pack(">H", 1 << _CONTENT_TYPE | 1 << _HEADERS | 1 << _DELIVERY_MODE | 1 << _MESSAGE_ID)
_SIZES: Final[Mapping[bytes, int]] = MappingProxyType({
    b"V": 0, b"t": 1, b"b": 1, b"B": 1, b"U": 2, b"u": 2, b"s": 2, b"I": 4, b"i": 4, b"f": 4, b"D": 5, b"L": 8, b"l": 8,
    b"d": 8, b"T": 8,
})  # fmt: skip
"""Bytes of a value by its kind (RabbitMQ's list of field types)."""
_MEASURED: Final = frozenset((b"S", b"x", b"A", b"F"))
"""Kinds whose values tell their length."""
_PERSISTENT: Final = b"\x02"


class Content(NamedTuple):
    """What is published."""

    content_type: bytes
    headers: bytes
    """A table."""
    body: bytes


class Properties(NamedTuple):
    """What arrived beside a body."""

    content_type: str
    headers: dict[str, object]
    message_id: str


@lru_cache(maxsize=1024)
def named(name: str) -> bytes:
    """A header's name as it stands before a text, cut to AMQP's 255 bytes."""
    encoded = name.encode()[:255]
    return bytes((len(encoded),)) + encoded + b"S"


def table(texts: Iterable[tuple[bytes, str]]) -> bytes:
    """A table of texts, by their names as of `named`."""
    parts: list[bytes] = [b""]
    for name, value in texts:
        text = value.encode()
        parts += (name, _LONG.pack(len(text)), text)
    parts[0] = _LONG.pack(sum(map(len, parts)))
    return b"".join(parts)


def frames(content: Content, *, channel: int, message_id: str, frame_max: int) -> list[bytes]:
    """The frames of a persistent message, to follow its publish method."""
    identity = message_id.encode()
    header = b"".join((
        _CONTENT.pack(_BASIC, 0, len(content.body)), _FLAGS, bytes((len(content.content_type),)), content.content_type,
        content.headers, _PERSISTENT, bytes((len(identity),)), identity,
    ))  # fmt: skip
    parts = [_FRAME.pack(2, channel, len(header)), header, _FRAME_END]
    size = frame_max - _OVERHEAD
    for start in range(0, len(content.body), size):
        piece = content.body[start : start + size]
        parts += (_FRAME.pack(3, channel, len(piece)), piece, _FRAME_END)
    return parts


def properties(data: bytes) -> Properties:
    """Understand the properties of a message, whoever sent it. A header that is malformed is left out."""
    flags = int.from_bytes(data[:2], "big")
    position = 2
    texts: dict[int, str] = {}
    headers: dict[str, object] = {}
    # A second word of flags, which AMQP 0-9-1 does not use, would stand where the first property is looked for.
    bits = () if flags & 1 else range(_CONTENT_TYPE, _MESSAGE_ID - 1, -1)
    with suppress(struct.error, IndexError):
        for bit in bits:
            if not flags >> bit & 1:
                continue
            if bit == _HEADERS:
                end = position + 4 + _LONG.unpack_from(data, position)[0]
                _read_table(data[position + 4 : end], headers)
                position = end
            elif bit in {_DELIVERY_MODE, _PRIORITY}:
                position += 1
            else:
                end = position + 1 + data[position]
                texts[bit] = data[position + 1 : end].decode(errors="replace")
                position = end
    return Properties(texts.get(_CONTENT_TYPE, ""), headers, texts.get(_MESSAGE_ID, ""))


def _read_table(data: bytes, into: dict[str, object]) -> None:
    """Read as far as the lengths of values can be told."""
    position = 0
    while position < len(data):
        after = position + 1 + data[position]
        name = data[position + 1 : after].decode(errors="replace")
        kind = data[after : after + 1]
        start = after + 1
        size = _SIZES.get(kind, -1)
        if size < 0:
            if kind not in _MEASURED:
                return
            size = 4 + _LONG.unpack_from(data, start)[0]
        position = start + size
        if kind == b"S":
            into[name] = data[start + 4 : position].decode(errors="replace")
        else:
            with suppress(ValueError, OverflowError, RecursionError, OSError):
                into[name] = decode.embedded_value(data[after:position])[1]
