"""The table of brokers. A new adapter adds a row; what its broker lacks stays None."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import pytest

from brokers import Broker, new_broker
from tests.faults import rabbitmq

__all__ = ["PLATFORMS", "Platform", "needed"]

T = TypeVar("T")


def _unchanged(url: str) -> str:
    return url


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
    lease: float = 0.0
    """Seconds after which, with that URL, a frozen process loses what it holds."""
    rooting: float = 0.0
    """Seconds after which a new subscription outlives the broker's being killed."""
    handover: float = 1.0
    """Seconds within which others have what a drained process gives back."""
    alarm: Callable[[Broker], AbstractAsyncContextManager[None]] | None = None
    """Inside, the broker stores nothing."""
    delete_subscription: Callable[[Broker, str, str], Awaitable[None]] | None = None
    """Behind the library's back; of a consumer and a topic."""
    occupy: Callable[[Broker, str, str], Awaitable[None]] | None = None
    """Put an object where a subscription's would be, that it cannot work with; of a consumer and a topic."""


PLATFORMS: Final = (
    Platform(name="memory", url="memory://", lease=2.0),
    Platform(
        name="rabbitmq",
        broker=partial(new_broker, "rabbitmq"),
        hurried=rabbitmq.hurried,
        lease=3.0 * rabbitmq.HEARTBEAT,
        rooting=rabbitmq.ROOTING,
        alarm=rabbitmq.alarm,
        delete_subscription=rabbitmq.delete_subscription,
        occupy=rabbitmq.occupy,
    ),
)


def needed(what: T | None, platform: Platform, name: str) -> T:
    """What the test cannot do without; it is skipped where the broker lacks it."""
    if what is None:
        pytest.skip(f"{platform.name} has no {name}")
    return what
