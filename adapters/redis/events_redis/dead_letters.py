"""The feed of dead letters: reads them once, and leaves them there."""

from collections.abc import Sequence
from typing import Final, cast

from events_core.errors import ConnectionLost, NotConnected
from events_core.ports import Delivery, Settled, Settlement, Subscription, Verdict
from events_redis.feeds import Token, write
from events_redis.keys import Keys
from events_redis.line import Line
from events_redis.wire import read

__all__ = ["DeadLetterFeed"]

_KEY: Final = 1 + Keys._fields.index("dead")


class DeadLetterFeed:
    """From the oldest to the newest, in pages. Nothing is held, and several may read at a time."""

    def __init__(self, line: Line, keys: Keys, subscription: Subscription) -> None:
        self._line = line
        self._keys = keys
        self._subscription = subscription
        self._next = "-"
        self._stopped = False

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """The next ones; empty at the end."""
        if self._stopped:
            return ()
        try:
            entries = await self._line.ask("XRANGE", self._keys.dead, self._next, "+", "COUNT", limit)
        except NotConnected as error:
            raise ConnectionLost(str(error)) from error
        return [self._delivery(entry.decode(), fields) for entry, fields in entries]

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Discard, replay or leave there; a letter that is discarded and one that is replayed are gone in one step."""
        chosen = [each for each in batch if each.verdict is not Verdict.RELEASE]
        try:
            results = await write(self._line, self._keys, self._subscription.consumer, "", chosen)
        except NotConnected as error:
            raise ConnectionLost(str(error)) from error
        return [results.get(each.delivery, Settled.DONE) for each in batch]

    async def lag(self) -> int | None:
        """How many there are."""
        return cast("int", await self._line.ask("XLEN", self._keys.dead))

    async def stop(self) -> None:
        """Read no more."""
        self._stopped = True

    def _delivery(self, entry: str, fields: Sequence[bytes]) -> Delivery:
        self._next = f"({entry}"
        message = read(entry, fields)
        origin = f"{self._subscription.topic.name}/{message.origin}"
        return Delivery(message.wire, origin, 1, self._keys.dead, Token(_KEY, entry))
