"""What msgspec says about a payload, as the errors of this library."""

import re
from typing import Final

from events_core.errors import InvalidPayload

__all__ = ["invalid_payload"]

_PATH: Final = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>.*)`$")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>.+?)`")


def invalid_payload(cls: type, error: Exception) -> InvalidPayload:
    """Name the class, the path of the field ("address.city", "tags[...]") and the reason."""
    text = str(error)
    at = _PATH.search(text)
    path = at["path"] if at else ""
    reason = text[: at.start()] if at else text
    missing = _MISSING.match(reason)
    if missing:
        return InvalidPayload(cls.__name__, ".".join(filter(None, (path, missing["name"]))), "the field is missing")
    return InvalidPayload(cls.__name__, path, reason)
