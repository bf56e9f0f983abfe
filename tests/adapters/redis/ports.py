"""What a test asks of a transport and its feeds, without a bus."""

import asyncio
from collections.abc import Sequence
from typing import Final

from events_core.conformance.stage import Stage
from events_core.ports import Alert, Delivery, Feed, Revoked, Settled, Settlement, Source, Subscription, Verdict, Wire

__all__ = ["SECONDS", "WIRE", "accept", "events_of", "ignore", "received", "until_received"]

WIRE: Final = Wire({"type": "t"}, b"{}")
SECONDS: Final = 10.0


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


def events_of(stage: Stage, source: Source = Source.EVENTS, window: int = 100) -> Subscription:
    """The subscription `first` of the stage's topic."""
    types = frozenset({"t"})
    return Subscription(consumer="first", topic=stage.topic, types=types, source=source, delays=(0.2,), window=window)


async def received(feed: Feed) -> Delivery:
    """The next one."""
    async with asyncio.timeout(SECONDS):
        (delivery,) = await feed.receive(1)
    return delivery


async def until_received(feed: Feed, number: int, *, at_once: int = 10_000) -> list[Delivery]:
    """So many, in any number of reads."""
    found: list[Delivery] = []
    async with asyncio.timeout(2 * SECONDS):
        while len(found) < number:
            found += await feed.receive(min(at_once, number - len(found)))
    return found


async def accept(feed: Feed, deliveries: Sequence[Delivery]) -> list[Settled]:
    """Settle them well."""
    return [*await feed.settle([Settlement(each, Verdict.ACCEPT) for each in deliveries])]
