"""What a test of the suite plays on: processes on one broker, with names that no other test uses."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Final
from uuid import uuid4

from events_core.conformance.events import Noted
from events_core.conformance.recorder import Act, Recorder
from events_core.errors import EventsError, NotConnected
from events_core.integration import DeadLetter, IntegrationEventBus, Registration, RetryPolicy
from events_core.messages import IntegrationEvent
from events_core.ports import Alert, AlertKind, Capabilities, Delivery, Feed, Subscription, Topic, Transport, Wire

__all__ = ["KEY", "Connect", "Process", "Stage"]

Connect = Callable[[], Transport]
"""A new process on the same broker, each time."""

KEY: Final = "conformance"
"""One key for all events of a test, unless it says otherwise: a broker with partitions keeps them in one."""

_LOOK_AGAIN: Final = 0.01


@dataclass(frozen=True, slots=True)
class Process:
    """A started bus over a connection of its own."""

    bus: IntegrationEventBus
    transport: Transport

    async def kill(self) -> None:
        """End as a killed process would: the connection is gone while handlers still run."""
        await self.transport.close()
        await self.bus.shutdown(0)


class Stage:
    """A topic, and the processes of one test. `close` leaves nothing on the broker."""

    def __init__(self, connect: Connect, *, test: str, patience: float, delays: tuple[float, ...]) -> None:
        self.patience = patience
        self.delays = delays
        self.retry: RetryPolicy = RetryPolicy(delays=delays)
        self._connect = connect
        self._test = test[:100]
        self._processes: list[Process] = []
        self._subscribed: set[tuple[str, Topic]] = set()
        self._fences = count(1_000_000)
        self.topic: Topic = self.new_topic()
        self._sender = self._unstarted(connect())

    @property
    def sender(self) -> IntegrationEventBus:
        """A process that registers nothing."""
        return self._sender.bus

    @property
    def capabilities(self) -> Capabilities:
        """What the broker declares."""
        return self._sender.transport.capabilities

    def new_topic(self) -> Topic:
        """A topic that nobody else has."""
        return Topic(f"{self._test}.{uuid4().hex[:8]}")

    def recorder(
        self,
        name: str = "first",
        *,
        act: Act | None = None,
        events: Sequence[type[IntegrationEvent]] = (Noted,),
        patience: float | None = None,
    ) -> Recorder:
        """A consumer of some events."""
        return Recorder(name, patience=patience or self.patience, events=events, act=act)

    def unstarted(self, *registrations: Registration) -> IntegrationEventBus:
        """A bus that the test starts itself."""
        return self.over(self._connect(), *registrations)

    def over(self, transport: Transport, *registrations: Registration) -> IntegrationEventBus:
        """A bus over a transport of the test's own, that it starts itself."""
        return self._unstarted(transport, *registrations).bus

    async def process(self, *registrations: Registration) -> Process:
        """A started process."""
        process = self._unstarted(self._connect(), *registrations)
        await process.bus.startup(self.patience)
        return process

    async def consume(self, recorder: Recorder) -> Process:
        """A started process with this consumer on the stage's topic, and nothing special about it."""
        return await self.process(Registration(recorder, self.topic, retry=self.retry))

    def note(self, registration: Registration) -> Registration:
        """Remember a registration that the test makes on a running bus, to remove it at the end."""
        if not registration.broadcast:
            self._subscribed.add((registration.consumer.name, registration.topic))
        return registration

    async def send(self, *events: IntegrationEvent) -> Sequence[str]:
        """Send one after the other; the ids."""
        return [await self.sender.send(self.topic, event, key=KEY) for event in events]

    async def send_numbers(self, *numbers: int) -> Sequence[str]:
        """Send a `Noted` for each number."""
        return await self.send(*map(Noted, numbers))

    async def publish(self, *wires: Wire) -> None:
        """What a stranger puts on the topic."""
        assert list(await self._sender.transport.publish(self.topic, wires)) == [None] * len(wires)

    async def fence(self, *recorders: Recorder) -> None:
        """Wait until an event sent now is handled: what was sent before and is not there will not come."""
        number = next(self._fences)
        await self.send_numbers(number)
        for recorder in recorders:
            await recorder.see(number)

    async def until(
        self, condition: Callable[[], Awaitable[bool]], wanted: str, *, patience: float | None = None
    ) -> None:
        """Ask again and again for what nobody is told of."""
        patience = patience or self.patience
        try:
            async with asyncio.timeout(patience):
                while not await condition():  # noqa: ASYNC110 a broker sets no asyncio.Event
                    await asyncio.sleep(_LOOK_AGAIN)
        except TimeoutError:
            raise AssertionError(f"not {wanted} within {patience} s") from None

    async def dead_letters(self, consumer: str, number: int, *, patience: float | None = None) -> Sequence[DeadLetter]:
        """The dead letters of this consumer, as soon as there are so many."""
        letters = self.sender.dead_letters(consumer, self.topic)
        found: list[DeadLetter] = []

        async def enough() -> bool:
            found[:] = await letters.list()
            return len(found) >= number

        await self.until(enough, f"{number} dead letters of {consumer}", patience=patience)
        return found

    async def held(self, process: Process, number: int) -> None:
        """Wait until the process holds so many deliveries."""

        async def reached() -> bool:
            return sum(each.held for each in (await process.bus.health()).subscriptions) == number

        await self.until(reached, f"{number} deliveries held")

    async def lags(self, process: Process, number: int) -> None:
        """Wait until so many events wait at the broker, if it can tell."""

        async def reached() -> bool:
            return {each.lag for each in (await process.bus.health()).subscriptions} <= {None, number}

        await self.until(reached, f"a lag of {number}")

    async def nothing_runs(self, process: Process) -> None:
        """Wait until no handler runs in the process."""

        async def reached() -> bool:
            return not any(each.running for each in (await process.bus.health()).subscriptions)

        await self.until(reached, "all handlers ended")

    async def ready(self, process: Process) -> None:
        """Wait until every registration of the process has its feed."""

        async def reached() -> bool:
            return (await process.bus.health()).ready

        await self.until(reached, "the bus ready")

    async def alert(self, process: Process, kind: AlertKind) -> Alert:
        """The first alert of this kind, as soon as there is one."""
        found: list[Alert] = []

        async def given() -> bool:
            found[:] = [each for each in (await process.bus.health()).alerts if each.kind is kind]
            return bool(found)

        await self.until(given, f"an alert {kind.name}")
        return found[0]

    async def feed(self, process: Process) -> Feed:
        """A feed of the consumer "first", past the bus; as soon as there is a connection."""
        subscription = Subscription(
            consumer="first", topic=self.topic, types=frozenset({Noted.type}), delays=self.delays, window=10
        )
        self._subscribed.add((subscription.consumer, subscription.topic))
        found: list[Feed] = []

        async def subscribed() -> bool:
            with suppress(NotConnected):
                found.append(await process.transport.subscribe(subscription))
            return bool(found)

        await self.until(subscribed, "subscribed")
        return found[0]

    async def receive(self, feed: Feed) -> Sequence[Delivery]:
        """What the feed hands out next, within the test's patience."""
        async with asyncio.timeout(self.patience):
            return await feed.receive(10)

    async def open(self) -> None:
        """Start the sender."""
        await self.sender.startup(self.patience)

    async def close(self) -> None:
        """Stop all processes and remove what they made."""
        for process in self._processes:
            with suppress(EventsError):
                await process.bus.shutdown(0)
        cleaner = IntegrationEventBus(self._connect(), source="conformance")
        async with cleaner:
            for consumer, topic in self._subscribed:
                await cleaner.delete_subscription(consumer, topic, force=True)

    def _unstarted(self, transport: Transport, *registrations: Registration) -> Process:
        bus = IntegrationEventBus(transport, source="conformance", registrations=map(self.note, registrations))
        process = Process(bus, transport)
        self._processes.append(process)
        return process
