"""A message's content in frames: a header with properties, and the body in pieces (AMQP 0-9-1, 2.3.5.2 and 4.2.6.1)."""

import struct
from collections.abc import Iterable
from functools import lru_cache
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
    """Understand the properties of a message, whoever sent it; none where they are malformed."""
    try:
        return _properties(data)
    except (struct.error, ValueError, IndexError, RecursionError):
        return Properties("", {}, "")


def _properties(data: bytes) -> Properties:
    flags = int.from_bytes(data[:2], "big")
    if flags & 1:
        raise ValueError("a second word of property flags, which AMQP 0-9-1 does not use")
    position = 2
    texts: dict[int, str] = {}
    headers: dict[str, object] = {}
    for bit in range(_CONTENT_TYPE, _MESSAGE_ID - 1, -1):
        if not flags >> bit & 1:
            continue
        if bit == _HEADERS:
            position, headers = _read_table(data, position)
        elif bit in {_DELIVERY_MODE, _PRIORITY}:
            position += 1
        else:
            end = position + 1 + data[position]
            texts[bit] = data[position + 1 : end].decode(errors="replace")
            position = end
    return Properties(texts.get(_CONTENT_TYPE, ""), headers, texts.get(_MESSAGE_ID, ""))


def _read_table(data: bytes, position: int) -> tuple[int, dict[str, object]]:
    end = position + 4 + _LONG.unpack_from(data, position)[0]
    position += 4
    read: dict[str, object] = {}
    while position < end:
        after = position + 1 + data[position]
        name = data[position + 1 : after].decode(errors="replace")
        if data[after : after + 1] == b"S":
            start = after + 5
            position = start + _LONG.unpack_from(data, after + 1)[0]
            read[name] = data[start:position].decode(errors="replace")
        else:
            consumed, read[name] = decode.embedded_value(data[after:end])
            position = after + consumed
    return end, read
