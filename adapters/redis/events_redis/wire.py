"""An event as the fields of a stream entry: CloudEvents attributes with `ce_`, other headers as they are, and `body`."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from events_core.messages import BUS_PREFIX, CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Wire

__all__ = ["Message", "encode", "from_frame", "read", "to_frame"]

_PREFIX: Final = "ce_"
_BODY: Final = b"body"
_ALONE: Final = 2
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_MOST_HEADERS: Final = 3_000
"""Of an entry: scripts take no more fields of a copy."""
_OURS: Final = BUS_PREFIX.encode()
_OURS_AT_MOST: Final = 100
# Of an entry that is a copy: the id of the first one, and how often it began elsewhere without an end.
_ORIGIN: Final = b"x-events-origin"
_RETURNS: Final = b"x-events-returns"
_OWN: Final = (_ORIGIN, _RETURNS)

_parts: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text: Final = msgspec.json.Decoder(str).decode

Fields = list[str | bytes]


class Message(NamedTuple):
    """What arrived: an event without prefixes, and what is known of the entry that it came in first."""

    wire: Wire
    origin: str
    returns: int


def encode(wire: Wire, origin: str | None = None) -> Fields:
    """The fields that carry an event; `origin` is that of the delivery it is a copy of."""
    fields: Fields = [] if origin is None else [_ORIGIN, origin]
    for name, value in wire.headers.items():
        fields += (_spelled(name), value)
    fields += (_BODY, wire.body)
    return fields


def read(entry: str, fields: Sequence[bytes]) -> Message:
    """Understand an entry, whoever added it. The only field of an entry is its body, whatever its name."""
    own: dict[bytes, str] = {}
    # They stand before all that the sender wrote.
    while fields and fields[0] in _OWN:
        own[fields[0]] = fields[1].decode(errors="replace")
        fields = fields[2:]
    origin, told = own.get(_ORIGIN, entry), own.get(_RETURNS, "0")
    returns = int(told) if _NUMBER.fullmatch(told) else 0
    if len(fields) == _ALONE:
        return Message(Wire({}, fields[1]), origin, returns)
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    body = named.pop(_BODY, b"")
    if len(named) > _MOST_HEADERS:
        named = _most_important(named)
    headers = {_unspelled(name): value.decode("utf-8", "replace") for name, value in named.items()}
    return Message(Wire(headers, body, headers.get("partitionkey")), origin, returns)


def to_frame(wire: Wire) -> bytes:
    """A message of one piece: a CloudEvent in structured mode, with the headers that are no attributes under `headers`."""
    told: dict[str, object] = {"specversion": "1.0"}
    headers: dict[str, str] = {}
    for name, value in wire.headers.items():
        (told if name in CLOUDEVENTS_ATTRIBUTES else headers)[name] = value
    try:
        told["data"] = msgspec.json.decode(wire.body, type=msgspec.Raw)
    except (ValueError, RecursionError):
        told["data_base64"] = b64encode(wire.body).decode()
    return msgspec.json.encode(told | ({"headers": headers} if headers else {}))


def from_frame(message: bytes) -> Wire:
    """Understand a message, whoever published it: what is no CloudEvent is a body."""
    try:
        told = _parts(message)
        if "specversion" not in told:
            return Wire({}, message)
        headers = msgspec.json.decode(told.get("headers", b"{}"), type=dict[str, str])
        for name in told.keys() & CLOUDEVENTS_ATTRIBUTES:
            headers[name] = _text(told[name])
        body = b64decode(_text(told["data_base64"])) if "data_base64" in told else bytes(told.get("data", b""))
    except (ValueError, RecursionError):
        return Wire({}, message)
    return Wire(headers, body, headers.get("partitionkey"))


def _most_important(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """As many as fit; attributes and the bus's own, which are few and come last, in any case."""
    ours = [name for name in fields if name.startswith(_OURS) or _unspelled(name) in CLOUDEVENTS_ATTRIBUTES]
    return {name: fields[name] for name in [*ours[-_OURS_AT_MOST:], *fields][:_MOST_HEADERS]}


@lru_cache(maxsize=1024)
def _spelled(name: str) -> str:
    return f"{_PREFIX}{name}" if name in CLOUDEVENTS_ATTRIBUTES else name


@lru_cache(maxsize=1024)
def _unspelled(name: bytes) -> str:
    text = name.decode(errors="replace")
    return attribute if (attribute := text.removeprefix(_PREFIX)) in CLOUDEVENTS_ATTRIBUTES else text
