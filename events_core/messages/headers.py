"""What may travel beside a body: the same rules for every broker, the strictest one's."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from events_core.errors import InvalidHeaders

__all__ = ["BUS_PREFIX", "CLOUDEVENTS_ATTRIBUTES", "SURELY_SHORT", "check_attribute", "check_headers"]

CLOUDEVENTS_ATTRIBUTES: Final[frozenset[str]] = frozenset(
    {
        "causationid",
        "correlationid",
        "datacontenttype",
        "eventversion",
        "id",
        "partitionkey",
        "source",
        "specversion",
        "time",
        "type",
    }
)
"""The attributes that an envelope's own fields fill; adapters spell them with the prefix of their binding."""

BUS_PREFIX: Final = "events-"
"""Begins the names of the bus's own headers: attempts, reasons, what has run."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RESERVED: Final = re.compile(
    rf"(?:{'|'.join((*sorted(CLOUDEVENTS_ATTRIBUTES), 'bcc', 'cc', 'content-type'))})$"
    rf"|{BUS_PREFIX}|ce[-_]"
    r"|x-(?:acquired-count|death|delay|delivery-count|first-death|last-death|message-ttl|opt-|received-from|shovelled|stream-)",
    re.IGNORECASE,
)
_TOTAL: Final = 16 * 1024
_ATTRIBUTE: Final = 255
# In UTF-8 a character takes at most four bytes: up to here nobody needs to count them.
SURELY_SHORT: Final = _ATTRIBUTE // 4
# Control characters, halves of surrogate pairs, line and paragraph separators.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse, with `InvalidHeaders`, what some broker or the bus itself would not carry unchanged."""
    total = 0
    for name, value in headers.items():
        _check_name(name)
        _check_value(name, value)
        total += len(name) + (len(value) if value.isascii() else len(value.encode()))
    if total > _TOTAL:
        raise InvalidHeaders(f"the headers take {total} bytes, more than {_TOTAL}; put large values into the event")


def check_attribute(name: str, value: object) -> None:
    """Refuse, with `InvalidHeaders`, an id, key or source that is empty, unprintable or over 255 bytes in UTF-8."""
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= SURELY_SHORT:
        return
    if not isinstance(value, str):
        raise InvalidHeaders(f"the event's {name} is {value!r:.80}; make it a str")
    if not value:
        raise InvalidHeaders(f"the event's {name} is empty; give it a value or leave it out")
    if not _is_printable(value):
        raise InvalidHeaders(f"the event's {name} {value!r:.80} holds control characters; remove them")
    if len(value.encode()) > _ATTRIBUTE:
        raise InvalidHeaders(
            f"the event's {name} {value!r:.80} takes over {_ATTRIBUTE} bytes in UTF-8; shorten or hash it"
        )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidHeaders(f"a header is called {name!r:.80}; use 1 to 64 of the characters A-Z a-z 0-9 _ . -")
    if _RESERVED.match(name):
        raise InvalidHeaders(f"the header {name} is written by the bus or the broker; choose another name")


def _check_value(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidHeaders(f"the header {name} is {value!r:.80}; make it a str")
    if not _is_printable(value):
        raise InvalidHeaders(f"the header {name} holds control characters; encode its value, or put it into the event")


def _is_printable(text: str) -> bool:
    # Emoji are joined by characters that Python calls unprintable.
    return text.isprintable() or _UNPRINTABLE.isdisjoint(map(unicodedata.category, text))
