"""An outbox in memory, a relay by hand, and a bus on a clock of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from events_core import IntegrationEvent, Topic
from events_core.memory import InMemoryOutboxStore
from events_core.outbox import Outbox, OutboxRelay, RelaySettings
from events_core.testing import TestBus

__all__ = ["ORDERS", "Placed", "Shop", "shop"]

ORDERS = Topic("orders")


class Placed(IntegrationEvent):
    type = "outbox.placed"
    version = 1
    text: str


class Shop:
    """What a test has at hand."""

    def __init__(self, bus: TestBus, settings: RelaySettings) -> None:
        self.bus = bus
        self.store = InMemoryOutboxStore()
        self.outbox = Outbox(self.store, source="shop", clock=bus.clock)
        self.relay = OutboxRelay(self.store, bus, settings=settings, clock=bus.clock)

    def put(self, *texts: str, key: str | None = None) -> list[str]:
        return [self.outbox.put(ORDERS, Placed(text), key=key) for text in texts]

    async def turn(self) -> None:
        """Let others work for a turn of the event loop."""
        await asyncio.sleep(0)

    @property
    def sent(self) -> list[str]:
        """What has arrived at the broker, in order."""
        return [each.event.text for each in self.bus.sent if isinstance(each.event, Placed)]


@asynccontextmanager
async def shop(settings: RelaySettings | None = None) -> AsyncGenerator[Shop]:
    async with TestBus() as bus:
        yield Shop(bus, settings or RelaySettings())
