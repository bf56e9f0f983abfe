"""What a subscription is on the broker, how it is made, looked at and deleted.

A channel dies of its first refused declaration: each of these calls has channels of its own, thrown away afterwards.
"""

import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, count
from typing import Final

from aiormq.abc import AbstractChannel
from pamqp.common import FieldValue

from events_core.errors import ConfigurationError, TopologyMismatch, UnsafeBroker
from events_core.ports import Subscription
from events_rabbitmq.amqp.link import Link
from events_rabbitmq.errors import NotThere, translated

__all__ = [
    "ANY_TYPE",
    "Depth",
    "Names",
    "declare",
    "declare_exchange",
    "delete",
    "depth",
    "exchange_of",
    "existing_waits",
    "unbind",
]

ANY_TYPE: Final = ""
"""The routing key of a message that does not tell its type: it goes to every subscription."""
_GAP: Final = 5
"""After so many numbers without a delay queue there are no more: somebody may have deleted some."""
_MOST_STEPS: Final = 1_000
_LONGEST_QUEUE: Final = 255
_LONGEST_EXCHANGE: Final = 127
_MANY: Final = 1_000_000
"""More often than anybody hands a message back. Without a limit a message that is handed back goes to the end of its
queue; -1 drops what is read, and 4.x drops a message at its 20th return (RabbitMQ's guide to quorum queues)."""


@dataclass(frozen=True, slots=True)
class Names:
    """The objects of one subscription."""

    exchange: str
    queue: str

    @classmethod
    def of(cls, subscription: Subscription, namespace: str) -> "Names":
        """`<namespace>.<consumer>.<topic>`, and the topic's exchange. Raises `ConfigurationError` where AMQP has no room."""
        prefix = f"{namespace}." if namespace else ""
        topic = subscription.topic.name
        names = cls(exchange_of(topic, namespace), f"{prefix}{subscription.consumer}.{topic}")
        if len(names.wait(_MOST_STEPS)) > _LONGEST_QUEUE:
            raise ConfigurationError(f"{names.queue} is too long for RabbitMQ; shorten consumer, topic or namespace")
        return names

    @property
    def dead(self) -> str:
        """Where its dead letters are kept."""
        return f"{self.queue}.dead"

    def wait(self, number: int) -> str:
        """One of its delay queues, counted from 1: AMQP cannot list queues, so their names have to be guessed."""
        return f"{self.queue}.wait.{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What a queue says of itself."""

    ready: int
    consumers: int


def exchange_of(topic: str, namespace: str) -> str:
    """The topic's exchange. Raises `ConfigurationError` where AMQP has no room for its name."""
    name = f"{namespace}.{topic}" if namespace else topic
    if len(name) > _LONGEST_EXCHANGE:
        raise ConfigurationError(
            f"{name} is too long for RabbitMQ: topic and namespace have {_LONGEST_EXCHANGE} characters"
        )
    return name


async def declare_exchange(link: Link, name: str) -> None:
    """Make the topic's exchange where there is none."""
    async with _channel(link) as channel:
        await channel.exchange_declare(name, exchange_type="topic", durable=True)


async def declare(link: Link, names: Names, subscription: Subscription) -> Mapping[float, str]:
    """Make everything a subscription needs, and add its types. Returns the delay queue of each step."""
    await declare_exchange(link, names.exchange)
    async with _channel(link) as channel:
        await channel.queue_declare(names.dead, durable=True, arguments=_quorum())
    waits = await _declare_waits(link, names, subscription.delays)
    async with _channel(link) as channel:
        await channel.queue_declare(names.queue, durable=True, arguments=_quorum())
        for key in (ANY_TYPE, *sorted(subscription.types)):
            await channel.queue_bind(names.queue, names.exchange, routing_key=key)
    return waits


async def depth(link: Link, queue: str) -> Depth | None:
    """How much waits in a queue; None where there is none."""
    try:
        async with _channel(link) as channel:
            declared = await channel.queue_declare(queue, passive=True)
    except NotThere:
        return None
    return Depth(ready=declared.message_count or 0, consumers=declared.consumer_count or 0)


async def existing_waits(link: Link, names: Names) -> list[str]:
    """The delay queues there are, those of steps that no ladder has any more included."""
    found: list[str] = []
    missing = 0
    for number in count(1):
        name = names.wait(number)
        if await depth(link, name) is not None:
            found.append(name)
            missing = 0
        elif (missing := missing + 1) == _GAP:
            break
    return found


async def unbind(link: Link, names: Names, types: frozenset[str]) -> None:
    """Take types out of what a subscription wants."""
    if await depth(link, names.queue) is None:
        return
    async with _channel(link) as channel:
        for key in sorted(types):
            await channel.queue_unbind(names.queue, names.exchange, routing_key=key)


async def delete(link: Link, names: Names) -> None:
    """Delete a subscription's queues, the one that is fed last: what waits for it must not be without a target."""
    waits = await existing_waits(link, names)
    async with _channel(link) as channel:
        for queue in (*reversed(waits), names.queue, names.dead):
            await channel.queue_delete(queue)


async def _declare_waits(link: Link, names: Names, delays: tuple[float, ...]) -> Mapping[float, str]:
    """A step keeps its queue for ever, whatever becomes of the ladder around it."""
    waits: dict[float, str] = {}
    for place, delay in enumerate(delays, start=1):
        # Of a ladder that never changed the place is the number. A queue of another step refuses, and the next is tried.
        for number in chain([place], range(1, _MOST_STEPS)):
            if await _is_wait(link, names, number, delay):
                waits[delay] = names.wait(number)
                break
        else:
            raise TopologyMismatch(f"{names.queue} has {_MOST_STEPS} delay queues; delete those nobody uses any more")
    return waits


async def _is_wait(link: Link, names: Names, number: int, delay: float) -> bool:
    arguments = _quorum() | {
        "x-message-ttl": math.ceil(delay * 1000),
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": names.queue,
        "x-dead-letter-strategy": "at-least-once",
    }
    try:
        async with _channel(link) as channel:
            await channel.queue_declare(names.wait(number), durable=True, arguments=arguments)
    except UnsafeBroker:
        raise
    except TopologyMismatch:
        return False
    return True


def _quorum() -> dict[str, FieldValue]:
    """Replicated, fsynced before it confirms, and refusing rather than dropping where a policy limits its length."""
    return {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-delivery-limit": _MANY}


@asynccontextmanager
async def _channel(link: Link) -> AsyncGenerator[AbstractChannel, None]:
    channel = await link.channel()
    try:
        async with translated(link.timeout):
            yield channel
    finally:
        await link.close_channel(channel)
