"""What a fault test has at hand."""

import asyncio
import json
import random
import re
import sys
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypedDict, Unpack

from brokers import Broker, FaultProxy
from events_core import (
    DeadLetter,
    Envelope,
    IntegrationEvent,
    IntegrationEventBus,
    Registration,
    RetryPolicy,
    Topic,
    open_bus,
)
from events_core.errors import OutcomeUnknown, SendError
from events_core.ports import AlertKind
from tests.faults.account import Account
from tests.faults.consumers import journaling
from tests.faults.events import Work
from tests.faults.journal import Journal
from tests.faults.platforms import Platform, needed
from tests.faults.processes import Worker
from tests.faults.waiting import until
from tests.faults.worker import Consume, Send

__all__ = ["PATIENCE", "Scene"]

PATIENCE: Final = 25.0
"""Seconds in which everything must have been handled, once the fault is over."""
_CHUNK: Final = 5_000
_NEGLECT: Final = re.compile(r" (asyncio|events_)\S* (ERROR|CRITICAL) |Exception ignored|Fatal Python error")


class ConsumeOptions(TypedDict, total=False):
    """Those of `Consume` that tests differ in."""

    consumer: str
    concurrency: int
    prefetch: int
    delays: tuple[float, ...]
    max_deliveries: int
    watch: bool


class Scene:
    """One topic on one broker, the processes around it, and the journal they write."""

    def __init__(self, platform: Platform, broker: Broker | None, folder: Path, seed: int, name: str) -> None:
        self.platform = platform
        self.random = random.Random(f"{seed} {name}")
        self.topic = Topic(f"faults-{self.random.randbytes(3).hex()}-{time.time_ns():x}")
        self.journal = Journal(folder / "journal")
        self.bus: IntegrationEventBus = open_bus(self._url_of(broker), source="faults")
        """In this process, straight to the broker, without registrations."""
        self._broker = broker
        self._folder = folder
        self._line = f"faults: {name} seed={seed}"
        self._began = time.monotonic()
        self._stack = AsyncExitStack()
        self._workers: list[Worker] = []
        self._consumers: set[str] = set()

    @property
    def broker(self) -> Broker:
        """The broker, to be hurt and left in good health."""
        return needed(self._broker, self.platform, "process of its own to hurt")

    @property
    def url(self) -> str:
        """Where workers connect, with a short lease."""
        return self._url_of(self._broker)

    async def open(self) -> None:
        """Connect."""
        await self.bus.startup()

    async def close(self) -> None:
        """Leave nothing behind."""
        for worker in self._workers:
            worker.close()
        await self._stack.aclose()
        for registration in self.bus.registrations:
            await self.bus.unregister(registration)
        for consumer in self._consumers:
            await self.bus.delete_subscription(consumer, self.topic, force=True)
        await self.bus.shutdown(deadline=2)
        self.journal.close()

    def gate(self, name: str) -> Path:
        """A gate for held events, closed until it is opened with `touch`."""
        return self._folder / f"gate-{name}"

    async def consumer(
        self, gate: Path | None = None, *, url: str | None = None, **options: Unpack[ConsumeOptions]
    ) -> Worker:
        """A process that consumes, when it is ready; without a gate it holds nothing up."""
        worker = self.launch_consumer(gate, url=url, **options)
        await self._ready(worker)
        return worker

    def launch_consumer(
        self, gate: Path | None = None, *, url: str | None = None, **options: Unpack[ConsumeOptions]
    ) -> Worker:
        """A process that will consume."""
        if gate is None:
            (gate := self.gate("open")).touch()
        order = Consume(
            url=url or self.url, topic=self.topic.name, journal=str(self.journal.path), gate=str(gate), **options
        )
        self._consumers.add(order.consumer)
        return self._launch(order)

    async def sender(self, *, in_flight: int, timeout: float) -> Worker:
        """A process that sends as fast as it can."""
        order = Send(
            url=self.url,
            topic=self.topic.name,
            journal=str(self.journal.path),
            in_flight=in_flight,
            timeout=timeout,
        )
        worker = self._launch(order)
        await self._ready(worker)
        return worker

    async def proxy(self) -> FaultProxy:
        """A proxy in front of the broker; `through` gives the URL."""
        return await self._stack.enter_async_context(self.platform.proxy(self.broker))

    def through(self, proxy: FaultProxy) -> str:
        """Where workers connect by way of the proxy."""
        return proxy.url(self.url)

    async def rooted(self) -> None:
        """Return when the subscriptions outlive the broker's being killed."""
        rooted = max(entry.at for entry in self.journal.of("ready")) + self.platform.rooting
        await until(lambda: time.monotonic() > rooted)

    @asynccontextmanager
    async def outage(self) -> AsyncGenerator[None]:
        """Inside, the broker is dead: killed at the beginning, and started at the end."""
        await self.rooted()
        await asyncio.to_thread(self.broker.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(self.broker.start)

    def registration(self, consumer: str = "first", gate: Path | None = None, *, concurrency: int = 10) -> Registration:
        """To be registered in this process."""
        if gate is None:
            (gate := self.gate("open")).touch()
        self._consumers.add(consumer)
        return Registration(
            journaling(consumer, self.journal, gate),
            self.topic,
            concurrency=concurrency,
            retry=RetryPolicy(delays=(1,)),
            timeout=60,
        )

    async def connect(self, url: str, *registrations: Registration) -> IntegrationEventBus:
        """Another bus in this process."""
        return await self._stack.enter_async_context(open_bus(url, source="faults", registrations=registrations))

    async def send(self, *events: IntegrationEvent) -> Sequence[str]:
        """Their ids, when they are confirmed."""
        return await asyncio.gather(*(self.try_sending(self.bus, each) for each in events))

    async def try_sending(
        self, bus: IntegrationEventBus, event: IntegrationEvent, *, id: str | None = None, timeout: float = 10.0
    ) -> str:
        """Send, and write down how it ended."""
        event_id = id or self.random.randbytes(8).hex()
        self.journal.write("sending", event_id)
        try:
            await bus.send(self.topic, event, id=event_id, timeout=timeout)
        except SendError as error:
            self.journal.write("refused", event_id, detail=type(error).__name__)
            raise
        self.journal.write("confirmed", event_id)
        return event_id

    async def send_stubbornly(self, bus: IntegrationEventBus, event: IntegrationEvent, id: str) -> str:
        """Send until it is confirmed: whether a connection is gone is only known when it is used."""
        while True:
            with suppress(OutcomeUnknown):
                return await self.try_sending(bus, event, id=id)

    async def fill(self, number: int) -> None:
        """Send so many events quickly, without a line each; each takes its handler 5 ms."""
        work = Work(number=0, seconds=0.005, padding="." * 500)
        body = json.dumps(work.to_dict()).encode()
        for start in range(0, number, _CHUNK):
            chunk = [
                Envelope(f"{self.topic.name}-{n}", Work.type, Work.version, "faults", "", body)
                for n in range(start, start + _CHUNK)
            ]
            assert set(await self.bus.send_envelopes(self.topic, chunk, timeout=20.0)) == {None}

    async def until_settled(self, bus: IntegrationEventBus) -> None:
        """Return when the bus holds no delivery."""

        async def nothing_is_held() -> bool:
            return not any(each.held for each in (await bus.health()).subscriptions)

        await until(nothing_is_held, within=PATIENCE, hope=lambda: "everything is settled")

    async def until_alert(self, bus: IntegrationEventBus, kind: AlertKind) -> None:
        """Return when the bus reported this."""

        async def is_reported() -> bool:
            return kind in {alert.kind for alert in (await bus.health()).alerts}

        await until(is_reported, within=PATIENCE, hope=lambda: f"the bus reports {kind.value}")

    async def dead_letters(self, number: int, *, within: float = PATIENCE) -> Sequence[DeadLetter]:
        """Those of the first consumer, as soon as there are so many."""
        letters: Sequence[DeadLetter] = ()

        async def are_there() -> bool:
            nonlocal letters
            letters = await self.bus.dead_letters("first", self.topic).list()
            return len(letters) >= number

        await until(are_there, within=within, hope=lambda: f"{number} dead letters")
        return letters

    async def settled(self, dead: Collection[str] = (), *, within: float = PATIENCE) -> Account:
        """The account, as soon as every confirmed event is handled or dead; printed, to be counted."""

        def nothing_is_missing() -> bool:
            return self.journal.ids("confirmed") <= self.journal.ids("handled") | set(dead)

        await self.journal.until(nothing_is_missing, within=within, hope="every confirmed event is handled or dead")
        account = self.tell(dead)
        assert not account.lost
        assert self.complaints() == []
        return account

    def tell(self, dead: Collection[str] = ()) -> Account:
        """The account, printed."""
        account = Account.of(self.journal, dead)
        sys.stdout.write(f"{self._line} {account} seconds={time.monotonic() - self._began:.1f}\n")
        return account

    def complaints(self) -> list[str]:
        """The workers' logs in which there is an error that nobody took care of."""
        logs = [log.read_text() for log in sorted(self._folder.glob("worker-*"))]
        return [log for log in logs if _NEGLECT.search(log)]

    def _launch(self, order: Consume | Send) -> Worker:
        worker = Worker(order, self._folder / f"worker-{len(self._workers)}")
        self._workers.append(worker)
        return worker

    async def _ready(self, worker: Worker) -> None:
        def ready() -> bool:
            if not worker.running:
                raise AssertionError(f"the worker ended:\n{worker.log.read_text()}")
            return bool(self.journal.of("ready", process=worker.pid))

        await self.journal.until(ready, within=PATIENCE, hope="the worker is ready")

    def _url_of(self, broker: Broker | None) -> str:
        return self.platform.url if broker is None else self.platform.hurried(broker.url)
