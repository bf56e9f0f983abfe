from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from events_core.memory import InMemoryBroker, InMemoryTransport
from events_core.ports import Alert, Revoked, Subscription, Topic


class InMemoryFaults:
    """What can happen to an in-memory broker; what it stored is all there is to start again on."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self._broker = broker

    @asynccontextmanager
    async def outage(self) -> AsyncGenerator[None]:
        with self._broker.outage():
            yield

    async def restart(self) -> None:
        with self._broker.outage():
            pass

    async def delete(self, consumer: str, topic: Topic) -> None:
        stranger = InMemoryTransport(self._broker)
        await stranger.open(_ignore)
        await stranger.remove(Subscription(consumer=consumer, topic=topic), force=True)
        await stranger.close()


def _ignore(notice: Revoked | Alert) -> None: ...
