"""Events as rows, and rows as events."""

import math
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

import msgspec
from sqlalchemy import Row

from events_core.messages import Envelope
from events_core.ports import Stored, Waiting
from events_sqlalchemy.tables import LANES

__all__ = ["milliseconds", "seconds", "to_event", "to_row"]

_write_headers: Final = msgspec.json.Encoder().encode
_read_headers: Final = msgspec.json.Decoder(dict[str, str]).decode


def milliseconds(moment: float) -> int:
    """A time as it is stored, rounded up: nothing is due early."""
    return math.ceil(moment * 1000)


def seconds(stored: int) -> float:
    """A time as it was stored."""
    return stored / 1000


def to_row(event: Waiting) -> dict[str, object]:
    """The values of a new row."""
    envelope = event.envelope
    # What has no key goes anywhere, but always to the same place.
    lane = crc32(f"{event.topic}\0{envelope.id if envelope.key is None else envelope.key}".encode()) % LANES
    return {
        "due": 0 if event.due is None else milliseconds(event.due),
        "since": int(event.since * 1000),
        "lane": lane,
        "topic": event.topic,
        "key": envelope.key,
        "id": envelope.id,
        "type": envelope.type,
        "version": envelope.version,
        "source": envelope.source,
        "time": envelope.sent,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "headers": _write_headers(envelope.headers).decode() if envelope.headers else None,
        "content_type": envelope.content_type,
        "body": envelope.body,
    }


def to_event(row: Row[Any]) -> Stored:
    """A row that is to be sent; one that cannot be read says why."""
    try:
        return Stored(row.position, row.topic, row.key, _envelope(row), row.failures)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        problem = f"the row cannot be read: {error}"
        return Stored(row.position, row.topic, row.key, None, row.failures, problem)


def _envelope(row: Row[Any]) -> Envelope:
    headers: Mapping[str, str] = _read_headers(row.headers) if row.headers is not None else {}
    return Envelope(
        row.id,
        row.type,
        row.version,
        row.source,
        row.time,
        bytes(row.body),
        row.key,
        row.correlation_id,
        row.causation_id,
        headers,
        row.content_type,
    )
