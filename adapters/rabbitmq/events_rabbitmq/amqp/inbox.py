"""What a channel handed out: taken in order, settled by tag."""

import asyncio
import math
import struct
from collections import deque
from collections.abc import Iterable
from itertools import chain
from typing import Final, NamedTuple

from events_core.errors import ConnectionLost
from events_rabbitmq.amqp.frames import DELIVER

__all__ = ["Arrived", "Inbox"]

_SETTLE: Final = struct.Struct(">BHIIQBB")
_METHOD: Final = 1
_LENGTH: Final = 13
_ACK: Final = 0x003C0050
_NACK: Final = 0x003C0078
_FRAME_END: Final = 0xCE
_MULTIPLE: Final = 1
_REQUEUE: Final = 2


class Arrived(NamedTuple):
    """A message that was handed out."""

    tag: int
    properties: bytes
    body: bytes


class Inbox:
    """The messages of one channel: those that wait to be taken, and the tags of all that are not settled.

    Tags belong to their channel; nothing of it can be settled once it is gone.
    """

    __slots__ = ("_lost", "_unsettled", "_waiter", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Arrived] = deque()
        self._unsettled: dict[int, None] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._lost: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is held."""
        return not self._unsettled

    @property
    def waiting(self) -> int:
        """How many were not taken."""
        return len(self._waiting)

    def put(self, told: bytes, properties: bytes, body: bytes) -> None:
        """A message arrived; `told` is its method."""
        tag = tag_in(told)
        self._unsettled[tag] = None
        self._waiting.append(Arrived(tag, properties, body))
        self.wake()

    def take(self, limit: int) -> list[Arrived]:
        """Up to `limit` of what waits, in order. Raises `ConnectionLost`."""
        self.check()
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    async def wait(self) -> None:
        """Return when there is something new to look at."""
        if not self._waiting and self._lost is None:
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            await waiter

    def wake(self) -> None:
        """Let who waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def check(self) -> None:
        """Raise `ConnectionLost` when the channel is gone."""
        if self._lost is not None:
            raise ConnectionLost(self._lost)

    def end(self, reason: str) -> None:
        """The channel is gone, and with it all that is held."""
        if self._lost is None:
            self._lost = reason
            self._waiting.clear()
            self._unsettled.clear()
            self.wake()

    def holds(self, tag: int) -> bool:
        """Whether it came from here and is not settled."""
        return tag in self._unsettled

    def settle(self, channel: int, *, accepted: Iterable[int] = (), released: Iterable[int] = ()) -> list[bytes]:
        """Forget these tags, and return the frames that say so.

        Acknowledged in one frame is everything below the oldest tag that is still held. So what goes back has to be named
        before.
        """
        back, done = list(released), list(accepted)
        for tag in chain(back, done):
            del self._unsettled[tag]
        frames = [_frame(channel, _NACK, tag, _REQUEUE) for tag in back]
        oldest = next(iter(self._unsettled), math.inf)
        if below := [tag for tag in done if tag < oldest]:
            frames.append(_frame(channel, _ACK, max(below), _MULTIPLE))
        frames += [_frame(channel, _ACK, tag, 0) for tag in done if tag > oldest]
        return frames


def tag_in(told: bytes) -> int:
    """The delivery tag of a deliver or get-ok method: a deliver names its consumer before."""
    start = 5 + told[4] if told[:4] == DELIVER else 4
    return int.from_bytes(told[start : start + 8], "big")


def _frame(channel: int, method: int, tag: int, bits: int) -> bytes:
    return _SETTLE.pack(_METHOD, channel, _LENGTH, method, tag, bits, _FRAME_END)
