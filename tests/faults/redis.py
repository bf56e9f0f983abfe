"""What can be done to a Redis beside starting, killing and freezing it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol, cast

from brokers import Broker

__all__ = ["LEASE", "alarm", "delete_subscription", "delete_topic", "hurried", "occupy", "wipe"]

LEASE: Final = 2
"""Seconds."""


class Server(Broker, Protocol):
    """A broker that takes the commands of redis-cli."""

    def command(self, *args: str) -> str:
        """What `redis-cli` answers."""
        ...


def hurried(url: str) -> str:
    """The URL with a short lease."""
    return f"{url}?lease={LEASE}"


@asynccontextmanager
async def alarm(broker: Broker) -> AsyncGenerator[None]:
    """The server has used up the memory it may use: it refuses whatever could need more."""
    await _command(broker, "CONFIG", "SET", "maxmemory", "1mb")
    try:
        assert "maxmemory:1048576" in await _command(broker, "INFO", "memory")
        yield
    finally:
        await _command(broker, "CONFIG", "SET", "maxmemory", "0")


async def delete_subscription(broker: Broker, consumer: str, topic: str) -> None:
    """Destroy its group, as an operator would."""
    assert await _command(broker, "XGROUP", "DESTROY", f"{{{topic}}}", consumer) == "1"


async def delete_topic(broker: Broker, topic: str) -> None:
    """Delete its stream, as an operator would."""
    assert await _command(broker, "DEL", f"{{{topic}}}") == "1"


async def occupy(broker: Broker, consumer: str, topic: str) -> None:
    """Have a string of the name that its dead letters need."""
    await _command(broker, "SET", f"{{{topic}}}.{consumer}.dead", "mine")


async def wipe(broker: Broker) -> None:
    """Forget everything that was ever stored."""
    await _command(broker, "FLUSHALL")


async def _command(broker: Broker, *args: str) -> str:
    return await asyncio.to_thread(cast("Server", broker).command, *args)
