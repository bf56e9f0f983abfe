"""The table of brokers. A new adapter adds a row; what its broker lacks stays None."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import pytest

from brokers import Broker, FaultProxy, new_broker
from tests.faults import kafka, rabbitmq, redis

__all__ = ["PLATFORMS", "Platform", "needed"]

T = TypeVar("T")


def _unchanged(url: str) -> str:
    return url


def _in_front(broker: Broker) -> FaultProxy:
    address = urlsplit(broker.url)
    assert address.hostname is not None
    assert address.port is not None
    return FaultProxy(address.hostname, address.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A broker, and what can be done to it."""

    name: str
    broker: Callable[[Path], Broker] | None = None
    """Not yet started, with its storage in this folder. None: it lives in one process, and dies with it."""
    url: str = ""
    """Where it has no broker that knows."""
    hurried: Callable[[str], str] = _unchanged
    """The URL with a lease as short as the broker allows."""
    proxy: Callable[[Broker], FaultProxy] = _in_front
    """To stand between clients and the broker."""
    lease: float = 0.0
    """Seconds after which, with that URL, a frozen process loses what it holds."""
    rooting: float = 0.0
    """Seconds after which a new subscription outlives the broker's being killed."""
    resends: bool = False
    """A send whose connection breaks is repeated, and stored once."""
    alarm: Callable[[Broker], AbstractAsyncContextManager[None]] | None = None
    """Inside, the broker stores nothing new."""
    spares_room: bool = False
    """It stores retries and dead letters even then."""
    delete_subscription: Callable[[Broker, str, str], Awaitable[None]] | None = None
    """Behind the library's back; of a consumer and a topic."""
    delete_topic: Callable[[Broker, str], Awaitable[None]] | None = None
    """Behind the library's back, where consumers make it again; RabbitMQ's do when they start."""
    occupy: Callable[[Broker, str, str], Awaitable[None]] | None = None
    """Put an object where a subscription's would be, that it cannot work with; of a consumer and a topic."""
    wipe: Callable[[Broker], Awaitable[None]] | None = None
    """Forget everything that was ever stored."""


PLATFORMS: Final = (
    Platform(name="memory", url="memory://", lease=2.0),
    # A full disk ends a Kafka node: there is nothing between full and killed.
    Platform(
        name="kafka",
        broker=partial(new_broker, "kafka"),
        hurried=kafka.hurried,
        proxy=kafka.proxy,
        lease=kafka.LEASE,
        resends=True,
        delete_subscription=kafka.delete_subscription,
        delete_topic=kafka.delete_topic_of,
        occupy=kafka.occupy,
    ),
    Platform(
        name="rabbitmq",
        broker=partial(new_broker, "rabbitmq"),
        hurried=rabbitmq.hurried,
        lease=3.0 * rabbitmq.HEARTBEAT,
        rooting=rabbitmq.ROOTING,
        alarm=rabbitmq.alarm,
        delete_subscription=rabbitmq.delete_subscription,
        occupy=rabbitmq.occupy,
        wipe=rabbitmq.wipe,
    ),
    Platform(
        name="redis",
        broker=partial(new_broker, "redis"),
        hurried=redis.hurried,
        lease=redis.LEASE,
        alarm=redis.alarm,
        spares_room=True,
        delete_subscription=redis.delete_subscription,
        delete_topic=redis.delete_topic,
        occupy=redis.occupy,
        wipe=redis.wipe,
    ),
)


def needed(what: T | None, platform: Platform, name: str) -> T:
    """What the test cannot do without; it is skipped where the broker lacks it."""
    if what is None:
        pytest.skip(f"{platform.name} has no {name}")
    return what
