"""What can happen to a Kafka node, and a topic of a kind that would lose what it confirmed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio import to_thread

from brokers import FaultProxy, Kafka
from events_core.conformance import Connect, Unsafe
from events_core.ports import Topic, Transport
from tests.adapters.kafka.strangers import delete_topic, make_topic


class KafkaFaults:
    """A node behind a proxy."""

    def __init__(self, broker: Kafka, proxy: FaultProxy) -> None:
        self._broker = broker
        self._proxy = proxy

    @asynccontextmanager
    async def outage(self) -> AsyncGenerator[None]:
        self._proxy.refuse = True
        self._proxy.reset()
        try:
            yield
        finally:
            self._proxy.refuse = False

    async def restart(self) -> None:
        self._broker.kill()
        await to_thread.run_sync(self._broker.start)

    async def delete(self, consumer: str, topic: Topic) -> None:
        await delete_topic(self._broker.url, topic.name)


def compacted_topic(broker: Kafka, connect: Connect) -> Unsafe:
    """A topic that keeps the last event of each key only."""

    async def prepare(consumer: str, topic: Topic) -> Transport:
        await make_topic(broker.url, topic.name, cleanup_policy="compact")
        return connect()

    return Unsafe(connect=prepare, setting="cleanup.policy")
