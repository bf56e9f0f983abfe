"""One feed's deliveries in this process: taken within the window, settled in batches."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from events_core.clock import Clock
from events_core.errors import ConnectionLost, EventsError
from events_core.integration.alerts import Alerts
from events_core.integration.backoff import Backoff
from events_core.integration.group_commit import GroupCommit
from events_core.integration.tasks import Spawn
from events_core.ports import AlertKind, Delivery, Feed, Settled, Settlement, Verdict

__all__ = ["Intake"]

_COPIES = frozenset({Verdict.RETRY, Verdict.DEAD_LETTER})


class Intake:
    """What one feed handed out and is not settled: never more than `window`.

    Copies (retries, dead letters) are written apart from the rest, so that an accept never waits for one. Once the feed
    is lost its settlements have no effect: the deliveries are handed out again elsewhere.
    """

    __slots__ = ("_alerts", "_backoff", "_copies", "_name", "_others", "_room", "feed", "held", "lost", "window")

    def __init__(self, name: str, feed: Feed, window: int, *, clock: Clock, spawn: Spawn, alerts: Alerts) -> None:
        self._name = name
        self._alerts = alerts
        self._backoff = Backoff(clock)
        self._room: asyncio.Future[None] | None = None
        self._copies: GroupCommit[Settlement] = GroupCommit(self._write, spawn=spawn)
        self._others: GroupCommit[Settlement] = GroupCommit(self._write, spawn=spawn)
        self.feed: Feed = feed
        self.window: int = window
        self.held: int = 0
        self.lost: bool = False

    async def receive(self) -> Sequence[Delivery]:
        """The next deliveries, as soon as the window has room; empty once stopped. Raises `ConnectionLost`."""
        while self.held >= self.window and not self.lost:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self.lost:
            raise ConnectionLost("the feed was lost while settling")
        deliveries = await self.feed.receive(self.window - self.held)
        self.held += len(deliveries)
        return deliveries

    def settle(self, settlement: Settlement) -> None:
        """Settle it with the next batch."""
        if not self.lost:
            lane = self._copies if settlement.verdict in _COPIES else self._others
            lane.add(settlement)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Give back what has not begun."""
        for delivery in deliveries:
            self.settle(Settlement(delivery, Verdict.RELEASE))

    async def settled(self) -> None:
        """Return when everything decided so far is settled."""
        await self._copies.drain()
        await self._others.drain()

    def lose(self) -> None:
        """The feed is dead: nothing is held any more."""
        self.lost = True
        self._wake()

    async def _write(self, batch: Sequence[Settlement]) -> Sequence[Settlement]:
        if self.lost:
            return ()
        try:
            results = await self.feed.settle(batch)
        except ConnectionLost:
            self.lose()
            return ()
        except Exception as error:  # noqa: BLE001 a broken adapter must not stop the subscription silently
            self._alerts.report(AlertKind.REFUSED, self._name, f"settling failed: {type(error).__name__}")
            self.lose()
            with suppress(EventsError):
                await self.feed.stop()
            return ()
        again = [each for each, result in zip(batch, results, strict=True) if result is Settled.AGAIN]
        self.held -= len(batch) - len(again)
        self._wake()
        await self._pause(len(again))
        return again

    async def _pause(self, refused: int) -> None:
        if refused:
            self._alerts.report(AlertKind.REFUSED, self._name, f"{refused} settlements were refused; trying again")
            await self._backoff.wait()
        else:
            self._backoff.reset()

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
