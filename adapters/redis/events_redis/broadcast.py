"""The feed of a broadcast topic: reads its stream from now on, for nobody's group."""

from collections.abc import Sequence
from time import monotonic
from typing import Final

from events_core.errors import BrokerSetupError
from events_core.ports import Alert, AlertKind, Delivery, Notify, Settled, Settlement
from events_redis.line import Line, Reply
from events_redis.reader import Reader
from events_redis.wire import read

__all__ = ["BroadcastFeed"]

_NOTHING_YET: Final = b"0-0"
_NO_KEY: Final = "no such key"


class BroadcastFeed:
    """Everything that is published from now on. What it does not read for `kept` seconds may be gone: that is reported."""

    def __init__(self, line: Line, stream: str, topic: str, kept: float, notify: Notify) -> None:
        self._line = line
        self._stream = stream
        self._topic = topic
        self._kept = kept
        self._notify = notify
        self._reader = Reader(line, self._read)
        self._last = _NOTHING_YET
        self._count = 0
        self._up_to_date = monotonic()

    async def open(self) -> None:
        """Note where now is, with `NotConnected`."""
        await self._reader.open()
        try:
            seen = await self._look()
        except BaseException:
            self.end("it was not opened")
            raise
        self._last, self._count = seen.get(b"last-generated-id", _NOTHING_YET), seen.get(b"entries-added", 0)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._reader.stopped:
            if deliveries := await self._reader.bring(limit):
                return deliveries
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Nothing is stored, so nothing is to be done."""
        if not self._reader.stopped:
            self._reader.check()
        return [Settled.DONE] * len(batch)

    async def lag(self) -> int | None:
        """Not to be told: others trim what this feed did not read."""
        return None

    async def stop(self) -> None:
        """Read no more."""
        try:
            await self._reader.stop()
        finally:
            self.end("the feed was stopped")

    @property
    def has_ended(self) -> bool:
        """Whether it reads no more."""
        return self._reader.lost is not None

    def end(self, reason: str) -> None:
        """Read no more."""
        self._reader.end(reason)

    async def _read(self, line: Line, count: int, block: int) -> list[Delivery]:
        if monotonic() - self._up_to_date > self._kept / 2:
            await self._report_gap()
        began = monotonic()
        reply = await line.ask("XREAD", "COUNT", count, "BLOCK", block, "STREAMS", self._stream, self._last)
        entries = reply[0][1] if reply else ()
        if len(entries) < count:
            self._up_to_date = began
        self._count += len(entries)
        return [self._delivery(entry, fields) for entry, fields in entries]

    def _delivery(self, entry: bytes, fields: Sequence[bytes]) -> Delivery:
        self._last = entry
        message = read(entry.decode(), fields)
        return Delivery(message.wire, f"{self._topic}/{message.origin}", 1, self._stream, entry)

    async def _report_gap(self) -> None:
        """Compare what was ever added with what was read and what is still there."""
        seen = await self._look()
        first = seen.get(b"first-entry")
        if not seen or (first and _order(first[0]) <= _order(self._last)):
            return
        missed = seen[b"entries-added"] - seen[b"length"] - self._count
        self._count += missed
        if missed > 0:
            self._notify(Alert(AlertKind.GAP, self._topic, f"{missed} events were trimmed before they were read"))

    async def _look(self) -> dict[bytes, Reply]:
        try:
            reply = await self._line.ask("XINFO", "STREAM", self._stream)
        except BrokerSetupError as error:
            if _NO_KEY in str(error):
                return {}
            raise
        return dict(zip(reply[::2], reply[1::2], strict=True))


def _order(entry: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)
