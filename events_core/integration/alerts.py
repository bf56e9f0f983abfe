"""What an operator should know: written to the log, and kept for `health()`."""

import logging
from collections import deque
from typing import Final

from events_core.ports import Alert, AlertKind

__all__ = ["Alerts"]

_log = logging.getLogger("events_core")
_KEPT: Final = 20


class Alerts:
    """The latest alerts of a bus."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: deque[Alert] = deque(maxlen=_KEPT)

    @property
    def latest(self) -> tuple[Alert, ...]:
        """The newest last."""
        return tuple(self._latest)

    def add(self, alert: Alert) -> None:
        """Keep and log it."""
        self._latest.append(alert)
        _log.warning("%s: %s: %s", alert.subject, alert.kind.value, alert.detail)

    def report(self, kind: AlertKind, subject: str, detail: str) -> None:
        """Keep and log what the core noticed."""
        self.add(Alert(kind, subject, detail))
