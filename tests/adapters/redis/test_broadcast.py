"""What a broadcast feed on Streams makes of events that were removed before it read them."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from brokers import Redis
from events_core.conformance.stage import Stage
from events_core.ports import Alert, AlertKind, Feed, Revoked, Source
from events_redis import RedisTransport
from tests.adapters.redis.ports import WIRE, events_of, until_received
from tests.adapters.redis.strangers import ask, stream_of

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]


KEPT = 0.2
"""Seconds that everything is kept, read or not."""


class Listener:
    """A broadcast feed, and what its transport was told."""

    def __init__(self, broker: Redis) -> None:
        self.alerts: list[Alert | Revoked] = []
        self.transport = RedisTransport(f"{broker.url}?trim_every={KEPT}")

    async def listen(self, stage: Stage) -> Feed:
        await self.transport.open(self.alerts.append)
        return await self.transport.subscribe(events_of(stage, Source.BROADCAST))

    @property
    def gaps(self) -> list[str]:
        """What is said of gaps."""
        return [each.detail for each in self.alerts if isinstance(each, Alert) and each.kind is AlertKind.GAP]


@pytest.fixture
async def listener(redis_broker: Redis) -> AsyncGenerator[Listener]:
    listener = Listener(redis_broker)
    yield listener
    await listener.transport.close()


async def test_what_was_removed_while_nobody_read_is_reported(
    stage: Stage, redis_broker: Redis, listener: Listener
) -> None:
    feed = await listener.listen(stage)
    await listener.transport.publish(stage.topic, [WIRE] * 10)
    await until_received(feed, 3)
    await ask(redis_broker.url, "XTRIM", stream_of(stage.topic), "MAXLEN", 4)
    await asyncio.sleep(KEPT)
    assert len(await until_received(feed, 4)) == 4
    await listener.transport.publish(stage.topic, [WIRE])
    await until_received(feed, 1)
    assert listener.gaps == ["3 events were trimmed before they were read"]


async def test_what_was_removed_to_the_last_one_is_reported(
    stage: Stage, redis_broker: Redis, listener: Listener
) -> None:
    feed = await listener.listen(stage)
    await listener.transport.publish(stage.topic, [WIRE] * 10)
    await until_received(feed, 3)
    await ask(redis_broker.url, "XTRIM", stream_of(stage.topic), "MAXLEN", 0)
    await asyncio.sleep(KEPT)
    reading = asyncio.create_task(until_received(feed, 1))

    async def reported() -> bool:
        return bool(listener.gaps)

    await stage.until(reported, "the gap")
    await listener.transport.publish(stage.topic, [WIRE])
    await reading
    assert listener.gaps == ["7 events were trimmed before they were read"]


async def test_what_was_removed_before_a_reader_that_lags_behind_is_reported(
    stage: Stage, redis_broker: Redis, listener: Listener
) -> None:
    feed = await listener.listen(stage)
    loop = asyncio.get_running_loop()
    until = loop.time() + KEPT
    await listener.transport.publish(stage.topic, [WIRE] * 10)
    # It reads all the time, and never to the end.
    while loop.time() < until:
        await listener.transport.publish(stage.topic, [WIRE])
        await until_received(feed, 1)
    await ask(redis_broker.url, "XTRIM", stream_of(stage.topic), "MAXLEN", 4)
    assert len(await until_received(feed, 4)) == 4
    assert listener.gaps == ["6 events were trimmed before they were read"]
