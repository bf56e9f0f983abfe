"""What can happen to a RabbitMQ node, and a subscription of a kind that would lose what it confirmed."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import aio_pika
from anyio import to_thread

from brokers import FaultProxy, RabbitMQ
from events_core.conformance import Unsafe
from events_core.ports import Topic, Transport
from events_rabbitmq import RabbitMQTransport

Result = TypeVar("Result")


class RabbitMQFaults:
    """A node behind a proxy."""

    def __init__(self, broker: RabbitMQ, proxy: FaultProxy) -> None:
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
        await to_thread.run_sync(self._broker.flush)
        self._broker.kill()
        await to_thread.run_sync(self._broker.start)

    async def delete(self, consumer: str, topic: Topic) -> None:
        await on_channel(self._broker.url, lambda channel: channel.queue_delete(f"{consumer}.{topic.name}"))


def classic_queue(broker: RabbitMQ) -> Unsafe:
    """A queue as other libraries make them: what it holds does not outlive its node's disk."""

    async def connect(consumer: str, topic: Topic) -> Transport:
        name = f"{consumer}.{topic.name}"
        await on_channel(broker.url, lambda channel: channel.declare_queue(name, durable=True))
        return RabbitMQTransport(broker.url)

    return Unsafe(connect=connect, setting="quorum")


async def on_channel(url: str, act: Callable[[aio_pika.abc.AbstractChannel], Awaitable[Result]]) -> Result:
    """What somebody does to the broker with a plain client."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        return await act(channel)
