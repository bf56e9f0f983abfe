"""What can happen to a Redis, and one that would lose what it confirmed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio import to_thread

from brokers import FaultProxy, Redis
from events_core.conformance import Unsafe
from events_core.ports import Topic, Transport
from events_redis import RedisTransport


class RedisFaults:
    """A server behind a proxy."""

    def __init__(self, broker: Redis, proxy: FaultProxy) -> None:
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
        await to_thread.run_sync(self._broker.command, "XGROUP", "DESTROY", f"{{{topic.name}}}", consumer)


def forgetful(broker: Redis, *, setting: str) -> Unsafe:
    """A server whose setting of this name lets it lose what it confirmed."""

    async def connect(consumer: str, topic: Topic) -> Transport:
        return RedisTransport(broker.url)

    return Unsafe(connect=connect, setting=setting)
