"""The feed of a broadcast topic: reads its stream from now on, for nobody's group."""

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

from events_core.errors import BrokerSetupError, ConnectionLost, EventsError
from events_core.ports import Alert, AlertKind, Delivery, Notify, Settled, Settlement
from events_redis.line import Line, Reply
from events_redis.reader import BLOCK_MS, Ongoing, Reader
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
        self._reader = Reader(line)
        self._reading = Ongoing(self._read)
        self._last = _NOTHING_YET
        self._count = 0
        self._looked = monotonic()
        self._stopped = False
        self._lost: str | None = None

    async def open(self) -> None:
        """Note where now is, with `NotConnected`."""
        seen = await self._look()
        self._last, self._count = seen.get(b"last-generated-id", _NOTHING_YET), seen.get(b"entries-added", 0)
        await self._reader.open()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            if self._lost is not None:
                raise ConnectionLost(self._lost)
            try:
                deliveries = await self._reading.bring(limit)
            except EventsError as error:
                self.end(str(error))
                raise ConnectionLost(str(error)) from error
            if deliveries:
                return deliveries
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Nothing is stored, so nothing is to be done."""
        if self._lost is not None and not self._stopped:
            raise ConnectionLost(self._lost)
        return [Settled.DONE] * len(batch)

    async def lag(self) -> int | None:
        """Not to be told: others trim what this feed did not read."""
        return None

    async def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        with suppress(EventsError):
            await self._reading.withdraw(self._reader.interrupt)
        self.end("the feed was stopped")

    @property
    def has_ended(self) -> bool:
        """Whether it reads no more."""
        return self._lost is not None

    def end(self, reason: str) -> None:
        """Read no more."""
        if self._lost is None:
            self._lost = reason
            self._reading.cancel()
            self._reader.close()

    async def _read(self, count: int) -> Sequence[Delivery]:
        if monotonic() - self._looked > self._kept / 2:
            await self._report_gap()
        self._looked = monotonic()
        reply = await self._reader.ask("XREAD", "COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", self._stream, self._last)
        entries = reply[0][1] if reply else ()
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
        if not first or _order(first[0]) <= _order(self._last):
            return
        if (missed := seen[b"entries-added"] - seen[b"length"] - self._count) > 0:
            self._count += missed
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
