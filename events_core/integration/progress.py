"""Notices a subscription that stands still: connected by every sign, and yet nothing arrives."""

from typing import Final

__all__ = ["LOOK_EVERY", "Progress"]

LOOK_EVERY: Final = 20.0
"""Seconds between two looks."""
_LOOKS: Final = 2
"""A feed that was just made, or a process that was frozen, explains one look."""


class Progress:
    """Of one subscription in this process, look by look. What a false alarm costs is one new feed."""

    __slots__ = ("_looks", "_received")

    def __init__(self) -> None:
        self._looks = 0
        self._received: float | None = None

    def stands_still(self, *, lag: int | None, held: int, received: float | None) -> bool:
        """Whether look after look events wait, nothing is held here, and none arrived since; then begin anew.

        `received` is the moment of the last arrival, on any clock.
        """
        still = bool(lag) and not held and received == self._received
        self._received = received
        self._looks = self._looks + 1 if still else 0
        if self._looks < _LOOKS:
            return False
        self._looks = 0
        return True
