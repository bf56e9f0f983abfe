"""What can be done to a RabbitMQ node beside starting, killing and freezing it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol, cast

import aio_pika

from brokers import Broker

__all__ = ["HEARTBEAT", "ROOTING", "alarm", "delete_subscription", "hurried", "occupy", "wipe"]

HEARTBEAT: Final = 2
"""Seconds; a node gives up a silent client after three of them."""
ROOTING: Final = 2.0
"""Seconds; RabbitMQ 3.10 saves its directory of quorum queues twice a second (Ra's `names.dets`). A queue that is not in
it comes back from a SIGKILL empty, and without a leader for good."""


class Node(Broker, Protocol):
    """A broker that takes the commands of rabbitmqctl."""

    def control(self, *args: str) -> str:
        """What `rabbitmqctl` answers."""
        ...


def hurried(url: str) -> str:
    """The URL with a short heartbeat."""
    return f"{url}?heartbeat={HEARTBEAT}"


@asynccontextmanager
async def alarm(broker: Broker) -> AsyncGenerator[None]:
    """The node believes that its disk is full: it reads nothing more from connections that publish."""
    await _control(broker, "set_disk_free_limit", "100000GB")
    try:
        assert "disk" in await _control(broker, "eval", "rabbit_alarm:get_alarms().")
        yield
    finally:
        await _control(broker, "set_disk_free_limit", "50MB")


async def delete_subscription(broker: Broker, consumer: str, topic: str) -> None:
    """Delete its queue, as an operator would."""
    await _control(broker, "delete_queue", f"{consumer}.{topic}")


async def occupy(broker: Broker, consumer: str, topic: str) -> None:
    """Have a queue of its name that is no quorum queue."""
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(f"{consumer}.{topic}", durable=True, arguments={"x-queue-type": "classic"})


async def wipe(broker: Broker) -> None:
    """Delete the virtual host with all that is in it, and make it anew."""
    await _control(broker, "delete_vhost", "/")
    await _control(broker, "add_vhost", "/")
    await _control(broker, "set_permissions", "-p", "/", "guest", ".*", ".*", ".*")


async def _control(broker: Broker, *args: str) -> str:
    return await asyncio.to_thread(cast("Node", broker).control, *args)
