"""What is known of one assigned partition: how far it is settled, and how often what is not was handed out."""

import json
import time
from collections import deque
from typing import Final

from events_kafka.library import Partition, Record
from events_kafka.link import Committed

__all__ = ["Lane", "State"]

_MOST_NOTED: Final = 200
"""Deliveries noted one by one: the broker keeps no more than 4 KiB with an offset."""


class State:
    """What is committed: the offset below which all is settled, and beside it, as JSON, what is known from there on.

    `to`: whatever is below, and not among `starts`, is settled. `starts`: how often a delivery was handed out, by its
    distance from the offset. `reserve`, `charge`: up to there all may have been handed out so often, by an upper bound.
    `owner`: the feed that wrote this.
    """

    def __init__(self, committed: Committed) -> None:
        self.offset: int = committed[0]
        self.starts: dict[int, int] = {}
        try:
            told = json.loads(committed[1] or "{}")
            self.owner: str | None = told.get("owner")
            self.to: int = int(told.get("to", self.offset))
            self.reserve: int = int(told.get("reserve", self.to))
            self.charge: int = int(told.get("charge", 0))
            self.starts = {
                self.offset + int(distance): int(count) for distance, count in told.get("starts", {}).items()
            }
        except (ValueError, TypeError, AttributeError):
            # Somebody else's note.
            self.owner, self.to, self.reserve, self.charge, self.starts = None, self.offset, self.offset, 0, {}

    @property
    def open(self) -> int:
        """How many below `to` are not settled."""
        return len(self.starts)


class Lane:
    """One partition, while it is ours.

    `open` has every offset below `to` that is not settled, ascending, and how often it was handed out; `held` those of
    them that are handed out now.
    """

    def __init__(self, partition: Partition, owner: str, state: State, *, delay: float) -> None:
        self.partition: Final = partition
        self.delay: Final = delay
        self.open: dict[int, int] = dict(state.starts)
        self.held: set[int] = set()
        self.to: int = state.to
        self.waiting: deque[tuple[float, Record]] = deque()
        """Read, and when it is due."""
        self.dirty: bool = False
        self._owner = owner
        self._past = state
        self._reserve = self._noting = 0
        self._next = state.offset

    @property
    def offset(self) -> int:
        """Everything below is settled."""
        return next(iter(self.open), self.to)

    @property
    def unread(self) -> int:
        """How many below `to` nobody holds."""
        return len(self.open) - len(self.held)

    def rewind(self) -> int:
        """Where reading goes on when it begins anew: what is held or settled is passed over then."""
        self.waiting.clear()
        self._next = self.offset
        return self._next

    def begins_anew(self, record: Record) -> bool:
        """Whether the next record shows that the topic was deleted, and made again."""
        return record.offset < self._next

    def wait(self, record: Record) -> None:
        """Let the next record wait, unless it was settled before, or is held.

        It was written before now, whatever the clock of its writer says.
        """
        if not self._passes_over(record.offset):
            now = time.time()
            self.waiting.append((min(record.timestamp / 1000, now) + self.delay, record))

    def _passes_over(self, offset: int) -> bool:
        expected = self._next
        if offset > expected:
            # What the log no longer has is nobody's any more.
            for vanished in [each for each in self.open if expected <= each < offset and each not in self.held]:
                del self.open[vanished]
        self._next = offset + 1
        return offset < self.to and (offset in self.held or offset not in self.open)

    def skip(self, offset: int) -> None:
        """Nobody wants it: it counts as settled."""
        self.open.pop(offset, None)
        self.to = max(self.to, offset + 1)
        self.dirty = True

    def take(self, offset: int) -> int:
        """Hand it out; how often that happened, this time included."""
        past = self._past
        before = past.charge if self.to <= offset < past.reserve else 0
        starts = self.open[offset] = self.open.get(offset, before) + 1
        self.held.add(offset)
        self.to = max(self.to, offset + 1)
        self.dirty = True
        return starts

    def finish(self, offset: int) -> None:
        """It is settled."""
        self.held.discard(offset)
        self.open.pop(offset, None)
        self.dirty = True

    def release(self, offset: int) -> None:
        """It never began: it goes back, and nothing is counted."""
        self.held.discard(offset)
        self.open[offset] -= 1
        self.dirty = True

    def is_noted(self, offset: int) -> bool:
        """Whether what is committed charges its next hand-out already."""
        return self.to <= offset < self._reserve

    def note(self, reserve: int) -> Committed:
        """What to commit: beside what is handed out, so many more may be before the next note."""
        self.dirty = False
        past = self._past
        charge = (past.charge if self.to < past.reserve else 0) + (1 if reserve else 0)
        reserve += self.to
        offset, to = self.offset, self.to
        entries = list(self.open.items())
        if len(entries) > _MOST_NOTED:
            # Too much to tell: from here on all count as open, and as handed out as often as any.
            to = entries[_MOST_NOTED][0]
            charge = max(charge, *(starts for _, starts in entries[_MOST_NOTED:]))
            entries = entries[:_MOST_NOTED]
        told = {
            "owner": self._owner,
            "to": to,
            "reserve": max(reserve, past.reserve if self.to < past.reserve else 0),
            "charge": charge,
            "starts": {str(each - offset): starts for each, starts in entries},
        }
        self._noting = reserve
        return offset, json.dumps(told, separators=(",", ":"))

    def noted(self) -> None:
        """The last note is committed."""
        self._reserve = self._noting
