"""The bus's own headers: what travels with an event through retries, dead letters and replays."""

import math
import traceback
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = [
    "ATTEMPT",
    "ERROR",
    "FIRST_FAILURE",
    "LAST_FAILURE",
    "NOT_BEFORE",
    "ORIGIN",
    "REASON",
    "SUCCEEDED",
    "SUSPECT",
    "TRACEBACK",
    "WAITING_SINCE",
    "failure_headers",
    "for_replay",
    "milliseconds",
    "number",
    "one_line",
    "without",
]

ATTEMPT: Final = "events-attempt"
"""The number of the coming attempt, from 1."""
SUCCEEDED: Final = "events-succeeded"
"""The names of the handlers that need not run again, separated by commas."""
FIRST_FAILURE: Final = "events-first-failure"
LAST_FAILURE: Final = "events-last-failure"
NOT_BEFORE: Final = "events-not-before"
WAITING_SINCE: Final = "events-waiting-since"
"""Since when an event of a contract unknown here waits for a newer replica."""
SUSPECT: Final = "events-suspect"
"""How many deliveries this one's process did not survive, before it was set apart."""
REASON: Final = "events-reason"
ERROR: Final = "events-error"
TRACEBACK: Final = "events-traceback"
ORIGIN: Final = "events-origin"
"""The subscription that gave the event up."""

_REPLAYED_WITHOUT: Final = frozenset({
    ATTEMPT, ERROR, FIRST_FAILURE, LAST_FAILURE, NOT_BEFORE, ORIGIN, REASON, SUSPECT, TRACEBACK, WAITING_SINCE,
})  # fmt: skip
_TRACEBACK_BYTES: Final = 8 * 1024
_ERROR_BYTES: Final = 1024
_FLOAT_NOISE: Final = 0.001
"""Milliseconds: seconds since the epoch, as a float, are no more exact than this."""


def number(headers: Mapping[str, str], name: str, default: int) -> int:
    """A header as a whole number; the default where a stranger wrote something else."""
    try:
        return int(headers[name])
    except (KeyError, ValueError):
        return default


def milliseconds(seconds: float) -> str:
    """A moment as brokers carry it: a whole number of milliseconds since the epoch, rounded up so as not to be early."""
    return str(math.ceil(seconds * 1000 - _FLOAT_NOISE))


def failure_headers(error: Exception) -> dict[str, str]:
    """An error and where it was raised, cut to what a header may hold: the end of a traceback tells most."""
    text = "".join(traceback.format_exception(error))
    return {
        ERROR: _head(f"{type(error).__name__}: {_words_of(error)}", _ERROR_BYTES),
        TRACEBACK: _encoded(text)[-_TRACEBACK_BYTES:].decode(errors="ignore"),
    }


def one_line(text: str) -> str:
    """A reason as it fits a list of dead letters."""
    return _head(" ".join(text.split()), _ERROR_BYTES)


def for_replay(headers: Mapping[str, str]) -> dict[str, str]:
    """A dead letter's headers as those of a first attempt; handlers that succeeded stay known."""
    return without(headers, _REPLAYED_WITHOUT)


def without(headers: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """All headers but these."""
    return {name: value for name, value in headers.items() if name not in names}


def _head(text: str, size: int) -> str:
    return _encoded(text)[:size].decode(errors="ignore")


def _encoded(text: str) -> bytes:
    # Half a surrogate pair, as in an undecodable file name, is shown and not refused.
    return text.encode(errors="backslashreplace")


def _words_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 an error that cannot say what it is still ends in a dead letter
        return "(its message could not be made)"
