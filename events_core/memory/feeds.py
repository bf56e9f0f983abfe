"""The in-memory feeds: of a durable subscription, of its dead letters, and of a broadcast topic."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from events_core.errors import ConnectionLost
from events_core.memory.broker import Inlet, InMemoryBroker, Stored, StoredSubscription, StoredTopic
from events_core.ports import Alert, AlertKind, Delivery, Notify, Settled, Settlement, Verdict

__all__ = ["BroadcastFeed", "DeadLetterFeed", "EventFeed"]

_LANE: Final = "memory"


def _delivery(stored: Stored) -> Delivery:
    return Delivery(stored.wire, stored.origin, stored.starts, _LANE, stored)


class EventFeed:
    """Takes from the head of a subscription; several feeds of one compete."""

    __slots__ = ("_broker", "_forget", "_held", "_lost", "_stopped", "_subscription", "_window")

    def __init__(
        self,
        broker: InMemoryBroker,
        subscription: StoredSubscription,
        window: int,
        forget: Callable[["EventFeed"], None],
    ) -> None:
        self._broker = broker
        self._subscription = subscription
        self._window = window
        self._forget = forget
        self._held: dict[Stored, None] = {}
        self._stopped = False
        self._lost = False
        subscription.feeds += 1

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        subscription = self._subscription
        while not self._stopped:
            self._check()
            if room := min(limit, self._window - len(self._held), len(subscription.ready)):
                return [self._take() for _ in range(room)]
            await subscription.arrived.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Settle at once: nothing here can refuse."""
        self._check()
        released: list[Stored] = []
        results = [self._settle_one(settlement, released) for settlement in batch]
        self._subscription.put_back(released)
        if self._stopped and not self._held:
            self._forget(self)
        return results

    async def lag(self) -> int | None:
        """Those that a feed could take now."""
        return len(self._subscription.ready)

    async def stop(self) -> None:
        """Hand out nothing more."""
        self._leave()
        self._stopped = True
        self._subscription.arrived.set()
        if not self._held:
            self._forget(self)

    def cut(self) -> None:
        """The connection is gone: what is held goes back, and was started."""
        self._leave()
        self._lost = True
        self._subscription.put_back(list(self._held))
        self._held.clear()

    def _leave(self) -> None:
        if not (self._stopped or self._lost):
            self._subscription.feeds -= 1

    def _check(self) -> None:
        if self._lost or self._subscription.removed:
            raise ConnectionLost("the in-memory connection broke, or the subscription was removed")

    def _take(self) -> Delivery:
        stored = self._subscription.ready.popleft()
        stored.starts += 1
        self._subscription.held += 1
        self._held[stored] = None
        return _delivery(stored)

    def _settle_one(self, settlement: Settlement, released: list[Stored]) -> Settled:
        stored = settlement.delivery.token
        if not isinstance(stored, Stored) or stored not in self._held:
            return Settled.LOST
        del self._held[stored]
        match settlement.verdict:
            case Verdict.RELEASE:
                stored.starts -= 1
                released.append(stored)
                return Settled.DONE
            case Verdict.DEAD_LETTER:
                self._subscription.dead[stored.origin] = stored.copy(settlement.headers)
            case Verdict.RETRY:
                self._broker.put_later(self._subscription, stored.copy(settlement.headers), settlement.delay)
            case Verdict.ACCEPT:
                pass
        self._subscription.settled()
        return Settled.DONE


class DeadLetterFeed:
    """Reads the dead letters once, from the oldest to the newest."""

    __slots__ = ("_forget", "_lost", "_read", "_subscription")

    def __init__(self, subscription: StoredSubscription, forget: Callable[["DeadLetterFeed"], None]) -> None:
        self._subscription = subscription
        self._forget = forget
        self._read = 0
        self._lost = False

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """The next ones; empty at the end."""
        self._check()
        letters = list(islice(self._subscription.dead.values(), self._read, self._read + limit))
        self._read += len(letters)
        return [_delivery(stored) for stored in letters]

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Discard, replay or leave there."""
        self._check()
        return [self._settle_one(settlement) for settlement in batch]

    async def lag(self) -> int | None:
        """How many were not read."""
        return max(0, len(self._subscription.dead) - self._read)

    async def stop(self) -> None:
        """Nothing is held."""
        self._forget(self)

    def cut(self) -> None:
        """The connection is gone."""
        self._lost = True

    def _check(self) -> None:
        if self._lost:
            raise ConnectionLost("the in-memory connection broke")

    def _settle_one(self, settlement: Settlement) -> Settled:
        if settlement.verdict is Verdict.RELEASE:
            return Settled.DONE
        letter = self._subscription.dead.pop(settlement.delivery.origin, None)
        if letter is None:
            return Settled.LOST
        self._read -= 1
        if settlement.verdict is Verdict.RETRY:
            self._subscription.put(letter.copy(settlement.headers))
        return Settled.DONE


class BroadcastFeed:
    """Everything that is published from now on, as far as the window has room."""

    __slots__ = ("_forget", "_inlet", "_lost", "_name", "_notify", "_stopped", "_topic")

    def __init__(
        self, topic: StoredTopic, name: str, inlet: Inlet, notify: Notify, forget: Callable[["BroadcastFeed"], None]
    ) -> None:
        self._topic = topic
        self._name = name
        self._inlet = inlet
        self._notify = notify
        self._forget = forget
        self._stopped = False
        self._lost = False

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        ready = self._inlet.ready
        while not self._stopped:
            if self._lost:
                raise ConnectionLost("the in-memory connection broke")
            self._report_gap()
            if ready:
                return [_delivery(ready.popleft()) for _ in range(min(limit, len(ready)))]
            await self._inlet.arrived.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Nothing is stored, so nothing is to be done."""
        return [Settled.DONE] * len(batch)

    async def lag(self) -> int | None:
        """How many wait for the core."""
        return len(self._inlet.ready)

    async def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True
        self._leave()
        self._forget(self)

    def cut(self) -> None:
        """The connection is gone."""
        self._lost = True
        self._leave()

    def _leave(self) -> None:
        if self._inlet in self._topic.broadcasts:
            self._topic.broadcasts.remove(self._inlet)
        self._inlet.arrived.set()

    def _report_gap(self) -> None:
        if missed := self._inlet.missed:
            self._inlet.missed = 0
            self._notify(Alert(AlertKind.GAP, self._name, f"{missed} events found no room"))
