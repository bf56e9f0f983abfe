"""An encoded event with its metadata, and the same as CloudEvents headers."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec

from events_core.errors import InvalidHeaders, InvalidPayload, MessageError
from events_core.messages.codec import Codec
from events_core.messages.headers import (
    BUS_PREFIX,
    CLOUDEVENTS_ATTRIBUTES,
    SURELY_SHORT,
    check_attribute,
    check_headers,
)
from events_core.messages.message import DomainEvent, IntegrationEvent

__all__ = ["Envelope", "Sealer", "check_envelope", "from_headers", "key_of", "to_headers"]

_UPTO_MILLISECONDS: Final = len("2026-11-21T12:00:00.000")
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_FRACTIONS: Final = tuple(f".{millisecond:03}Z" for millisecond in range(1000))
_to_text = msgspec.to_builtins
_from_timestamp = datetime.fromtimestamp
_from_text = datetime.fromisoformat


class Envelope(msgspec.Struct, frozen=True):
    """An encoded event on its way: what the broker keeps, and what a handler's context shows."""

    id: str
    """The same over redelivery, retry and replay."""
    type: str
    version: int
    source: str
    """Who sent it; empty if a stranger did not say."""
    sent: str
    """When it was sent, in RFC 3339 as on the wire, so that copies keep it to the letter; empty if nobody said."""
    body: bytes
    key: str | None = None
    """What ordering and partitioning go by."""
    correlation_id: str | None = None
    causation_id: str | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """The sender's own, `traceparent` among them; treat them as read-only."""
    content_type: str = "application/json"

    @property
    def time(self) -> float:
        """When it was sent, in seconds since the epoch; 0.0 if a stranger did not say so in RFC 3339."""
        try:
            return _timestamp(self.sent)
        except ValueError:
            return 0.0

    def _brief(self) -> str:
        return f"<Envelope {self.id} {self.type} version {self.version}, {len(self.body)} bytes>"

    # Bodies and headers may be large, and are nobody's business in a log.
    __repr__ = _brief


class Sealer:
    """Makes the envelopes of one sender. Keep one: it remembers what its events have in common.

    The source, a str of at most 255 bytes, is checked here: `InvalidHeaders`.
    """

    __slots__ = ("_content_type", "_encode", "_source", "_stamp")

    def __init__(self, codec: Codec, source: str) -> None:
        check_attribute("source", source)
        self._encode = codec.encode
        self._content_type = codec.content_type
        self._source = source
        self._stamp = _Stamps().text

    def seal(  # noqa: PLR0913 one event's metadata, in one call, on the hot path
        self,
        event: IntegrationEvent | DomainEvent,
        *,
        id: str,
        time: float,
        key: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Envelope:
        """Encode an event. Without `key` its key field is used. `time` is in seconds since the epoch.

        `InvalidPayload` or `InvalidHeaders` for what could not travel.
        """
        if key is None and event.__key__ is not None:
            key = key_of(event)
        if id.__class__ is not str or not (id.isprintable() and 0 < len(id) <= SURELY_SHORT):
            check_attribute("id", id)
        if key is not None:
            check_attribute("key", key)
        if correlation_id is not None:
            check_attribute("correlation id", correlation_id)
        if causation_id is not None:
            check_attribute("causation id", causation_id)
        own = _NO_HEADERS
        if headers:
            check_headers(headers)
            own = dict(headers)
        # By position, in the order of the fields: this is twice as fast.
        return Envelope(
            id,
            event.type,
            event.version,
            self._source,
            self._stamp(time),
            self._encode(event),
            key,
            correlation_id,
            causation_id,
            own,
            self._content_type,
        )


def key_of(event: IntegrationEvent | DomainEvent) -> str | None:
    """The value of the event's key field as readable text; None without a key field, or when it is None."""
    if event.__key__ is None:
        return None
    value: object = getattr(event, event.__key__)
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal | UUID | date):
        return value.isoformat() if isinstance(value, date) else str(value)
    reason = f"a {value.__class__.__name__} makes no key; use a str, number, UUID, date or Enum, or send(key=...)"
    raise InvalidPayload(event.__class__.__name__, event.__key__, reason)


def check_envelope(envelope: Envelope) -> None:
    """Refuse, with `InvalidHeaders`, an envelope made elsewhere than by a `Sealer` that could not travel."""
    check_attribute("id", envelope.id)
    check_attribute("type", envelope.type)
    check_attribute("source", envelope.source)
    for name, value in (
        ("key", envelope.key),
        ("correlation id", envelope.correlation_id),
        ("causation id", envelope.causation_id),
    ):
        if value is not None:
            check_attribute(name, value)
    try:
        _timestamp(envelope.sent or "1970-01-01")
    except ValueError:
        advice = "write it as in 2026-11-21T12:00:00.000Z"
        raise InvalidHeaders(f"the event's time is {envelope.sent!r:.80}; {advice}") from None
    check_headers(envelope.headers)


def to_headers(envelope: Envelope) -> dict[str, str]:
    """The CloudEvents 1.0 attributes without prefix, in text, and the sender's own headers."""
    headers = {
        "specversion": "1.0",
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "datacontenttype": envelope.content_type,
        "eventversion": str(envelope.version),
    }
    if envelope.sent:
        headers["time"] = envelope.sent
    if envelope.key is not None:
        headers["partitionkey"] = envelope.key
    if envelope.correlation_id is not None:
        headers["correlationid"] = envelope.correlation_id
    if envelope.causation_id is not None:
        headers["causationid"] = envelope.causation_id
    # The attributes win over whatever a stranger's envelope calls the same.
    return {**envelope.headers, **headers} if envelope.headers else headers


def from_headers(headers: Mapping[str, str], body: bytes, *, codec: Codec, fallback_id: str) -> Envelope:
    """The envelope behind unprefixed headers. What they do not say is read from the body, or left empty.

    `MalformedMessage` or `InvalidPayload` if neither says what it is. The bus's own headers are left out.
    """
    get = headers.get
    type_name = get("type")
    if type_name:
        try:
            version = int(headers["eventversion"])
        except (KeyError, ValueError):
            version = _peeked_version(type_name, body, codec)
    else:
        type_name, version = codec.peek(body)
    return Envelope(
        get("id") or fallback_id,
        type_name,
        version,
        get("source") or "",
        get("time") or "",
        body,
        get("partitionkey"),
        get("correlationid"),
        get("causationid"),
        _NO_HEADERS if headers.keys() <= CLOUDEVENTS_ATTRIBUTES else _senders_own(headers),
        get("datacontenttype") or codec.content_type,
    )


def _peeked_version(type_name: str, body: bytes, codec: Codec) -> int:
    try:
        named, version = codec.peek(body)
    except MessageError:
        return 1
    return version if named == type_name else 1


def _senders_own(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name not in CLOUDEVENTS_ATTRIBUTES and not name.startswith(BUS_PREFIX)
    }


class _Stamps:
    """RFC 3339 in UTC and milliseconds. Most events come close together: what two have in common is written once."""

    __slots__ = ("_latest", "_second")

    def __init__(self) -> None:
        # One value each, so that threads never see one half of it.
        self._latest = (-1, "")
        self._second = (-1, "")

    def text(self, seconds: float) -> str:
        """A time in seconds since the epoch, cut to milliseconds."""
        milliseconds = int(seconds * 1000)
        latest, text = self._latest
        if milliseconds != latest:
            text = self._write(milliseconds)
            self._latest = (milliseconds, text)
        return text

    def _write(self, milliseconds: int) -> str:
        second = milliseconds // 1000
        latest, prefix = self._second
        if second != latest:
            prefix = _rfc3339(second)[:-1]
            self._second = (second, prefix)
        return prefix + _FRACTIONS[milliseconds - second * 1000]


def _timestamp(text: str) -> float:
    moment = _from_text(text)
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def _rfc3339(seconds: float) -> str:
    text: str = _to_text(_from_timestamp(seconds, UTC))
    return f"{text[:_UPTO_MILLISECONDS]}Z" if len(text) > _UPTO_MILLISECONDS else text
