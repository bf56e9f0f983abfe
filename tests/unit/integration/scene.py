"""Events, consumers and a disturbed line to the broker, for the tests of the bus."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import replace

from events_core import Consumer, Context, IntegrationEvent, IntegrationEventBus, Registration, Topic
from events_core.errors import ConnectionLost, EventsError, NotConnected, TopologyMismatch
from events_core.memory import InMemoryBroker, InMemoryTransport
from events_core.ports import (
    Capabilities,
    Delivery,
    Feed,
    Notify,
    Revoked,
    Settled,
    Settlement,
    Source,
    Subscription,
    Transport,
    Wire,
)
from events_core.testing import ManualClock

ORDERS = Topic("orders")
PAYMENTS = Topic("payments")

Act = Callable[[IntegrationEvent, Context], Awaitable[None]]


class Placed(IntegrationEvent, key="order"):
    type = "scene.placed"
    version = 1
    order: str = "o-1"


class Paid(IntegrationEvent):
    type = "scene.paid"
    version = 1
    order: str = "o-1"


class Recorder(Consumer):
    """Notes every event, then does what its test says."""

    def __init__(self, name: str = "recorder", act: Act | None = None) -> None:
        self.name = name
        self.events = (Placed, Paid)
        self.got: list[IntegrationEvent] = []
        self.contexts: list[Context] = []
        self._act = act

    async def on_event(self, event: IntegrationEvent, context: Context) -> None:
        self.got.append(event)
        self.contexts.append(context)
        if self._act is not None:
            await self._act(event, context)

    @property
    def attempts(self) -> list[int]:
        return [context.attempt for context in self.contexts]


class Line:
    """An in-memory transport that its test disturbs."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self._transport: Transport = InMemoryTransport(broker)
        self.capabilities: Capabilities = self._transport.capabilities
        self.reachable = True
        self.connected = True
        self.sticky = False
        self.dials = 0
        self.mismatched: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.writes: list[tuple[str, int]] = []
        self.feeds: list[Cable] = []
        self.refusals = 0
        self.notify: Notify | None = None

    async def open(self, notify: Notify) -> None:
        self.dials += 1
        if not self.reachable:
            raise NotConnected("nobody listens")
        self.notify = notify
        await self._transport.open(notify)

    async def close(self) -> None:
        await self._transport.close()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        self.writes.append((topic.name, len(batch)))
        if not self.connected:
            return [NotConnected("the line is down") for _ in batch]
        if (gate := self.gates.get(topic.name)) is not None:
            await gate.wait()
        return await self._transport.publish(topic, batch)

    async def subscribe(self, subscription: Subscription) -> Feed:
        if subscription.consumer in self.mismatched:
            raise TopologyMismatch("the queue has other properties")
        feed = await self._transport.subscribe(subscription)
        if subscription.source is not Source.EVENTS:
            return feed
        self.feeds.append(Cable(self, feed, stuck=self.sticky))
        return self.feeds[-1]

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        await self._transport.remove(subscription, types=types, force=force)

    def limit_holds(self, seconds: float) -> None:
        self.capabilities = replace(self.capabilities, hold_limit=seconds)

    def revoke(self, lanes: frozenset[Hashable]) -> None:
        assert self.notify is not None
        self.notify(Revoked(self.feeds[-1], lanes))


class Cable:
    """A feed that can be cut, and refuse settlements. One that is not free hands out nothing, and does not even end."""

    def __init__(self, line: Line, feed: Feed, *, stuck: bool) -> None:
        self._line = line
        self._feed = feed
        self.free = asyncio.Event()
        if not stuck:
            self.free.set()
        self._cut = asyncio.Event()
        self.settled: list[Settlement] = []

    async def receive(self, limit: int) -> Sequence[Delivery]:
        await self.free.wait()
        cut = asyncio.ensure_future(self._cut.wait())
        receiving = asyncio.ensure_future(self._feed.receive(limit))
        try:
            await asyncio.wait([cut, receiving], return_when=asyncio.FIRST_COMPLETED)
            if cut.done():
                raise ConnectionLost("the cable was cut")
            return receiving.result()
        finally:
            cut.cancel()
            receiving.cancel()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        if self._cut.is_set():
            raise ConnectionLost("the cable was cut")
        if self._line.refusals:
            self._line.refusals -= 1
            return [Settled.AGAIN] * len(batch)
        self.settled += batch
        return await self._feed.settle(batch)

    async def lag(self) -> int | None:
        return await self._feed.lag()

    async def stop(self) -> None:
        await self._feed.stop()

    def cut(self) -> None:
        """End it, and hand what it held to whoever subscribes next, as a broker does."""
        self._cut.set()
        cut: Callable[[], None] = self._feed.cut  # type: ignore[attr-defined] # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]
        cut()


class Scene:
    """A bus on a line and a clock that the test holds."""

    def __init__(self, *registrations: Registration, background: bool = False) -> None:
        self.clock = ManualClock()
        self.broker = InMemoryBroker(clock=self.clock)
        self.line = Line(self.broker)
        self.bus = IntegrationEventBus(
            self.line,
            source="scene",
            registrations=registrations,
            clock=self.clock,
            connect="background" if background else "now",
        )

    async def turn(self) -> None:
        """Let everything happen that can happen without time passing."""
        await self.clock.advance(0)
        await self.clock.advance(0)
