"""The bus of the embedded default."""

from typing import Unpack

from events_core.integration.bus import BusOptions, IntegrationEventBus
from events_core.memory import InMemoryBroker, InMemoryTransport

__all__ = ["InMemoryEventBus"]


class InMemoryEventBus(IntegrationEventBus):
    """A bus whose topics live in this process: for tests, for demonstrations, and to begin with.

    Buses that are given one `broker` share its topics, as processes share a real one.
    """

    def __init__(self, *, source: str, broker: InMemoryBroker | None = None, **options: Unpack[BusOptions]) -> None:
        broker = broker or InMemoryBroker(clock=options.get("clock"))
        super().__init__(InMemoryTransport(broker), source=source, **options)
