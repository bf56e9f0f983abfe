"""Calls that are cancelled, at any moment, leave nothing behind: no event held for ever, no connection."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import TypeVar

import pytest

from brokers import FaultProxy, Redis
from events_core.conformance.stage import Stage
from events_core.errors import ConnectionLost
from events_core.ports import Settled, Settlement, Source, Transport, Verdict
from events_redis import RedisPubSubTransport, RedisTransport
from tests.adapters.redis.ports import WIRE, accept, events_of, ignore, received
from tests.adapters.redis.strangers import ask, pending, stream_of

T = TypeVar("T")
Kind = type[RedisTransport] | type[RedisPubSubTransport]

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]


@pytest.fixture
async def transport(redis_broker: Redis, proxy: FaultProxy) -> AsyncGenerator[RedisTransport]:
    transport = RedisTransport(f"{proxy.url(redis_broker.url)}?lease=60&timeout=5")
    await transport.open(ignore)
    yield transport
    await transport.close()


async def cancelled_after(turns: int, call: Coroutine[object, object, T]) -> T | None:
    """Begin a call, and cancel it after so many turns of the event loop; what it returned, if it was done by then."""
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


async def test_what_was_read_while_stopping_was_cancelled_is_handed_out_again(
    stage: Stage, redis_broker: Redis, proxy: FaultProxy, transport: RedisTransport
) -> None:
    feed = await transport.subscribe(events_of(stage))
    await cancelled_after(5, feed.receive(1))
    proxy.down = "hold"
    await ask(redis_broker.url, "XADD", stream_of(stage.topic), "*", "ce_type", "t", "body", "{}")

    async def handed_out() -> bool:
        return await pending(redis_broker.url, stage.topic, "first") == 1

    await stage.until(handed_out, "the event on its way")
    await cancelled_after(5, feed.stop())
    proxy.down = "pass"
    next_one = await transport.subscribe(events_of(stage))
    assert await accept(next_one, [await received(next_one)]) == [Settled.DONE]
    await transport.remove(events_of(stage), force=True)


async def test_a_settlement_that_is_cancelled_leaves_nothing_held(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    for turns in range(1, 7):
        feed = await transport.subscribe(events_of(stage))
        await transport.publish(stage.topic, [WIRE])
        await cancelled_after(turns, accept(feed, [await received(feed)]))
    last = await transport.subscribe(events_of(stage))
    while await pending(redis_broker.url, stage.topic, "first") or await last.lag():
        await accept(last, await last.receive(10))
    await transport.remove(events_of(stage))


async def test_a_settlement_that_is_cancelled_while_its_copy_is_refused_leaves_nothing_held(
    stage: Stage, redis_broker: Redis, proxy: FaultProxy, transport: RedisTransport
) -> None:
    feed = await transport.subscribe(events_of(stage))
    await transport.publish(stage.topic, [WIRE])
    held = await received(feed)
    dead = f"{stream_of(stage.topic)}.first.dead"
    await ask(redis_broker.url, "SET", dead, "mine")
    proxy.down = "hold"
    await cancelled_after(5, feed.settle([Settlement(held, Verdict.DEAD_LETTER)]))
    proxy.down = "pass"
    await ask(redis_broker.url, "DEL", dead)
    with pytest.raises(ConnectionLost):
        await received(feed)
    other = await transport.subscribe(events_of(stage))
    assert (await received(other)).origin == held.origin
    await transport.remove(events_of(stage), force=True)


async def test_a_receive_that_was_cancelled_brings_no_more_than_the_next_one_asks_for(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    feed = await transport.subscribe(events_of(stage))
    await cancelled_after(5, feed.receive(10))
    at_once = "for number = 1, 5 do redis.call('XADD', KEYS[1], '*', 'ce_type', 't', 'body', '{}') end"
    await ask(redis_broker.url, "EVAL", at_once, 1, stream_of(stage.topic))
    for _ in range(5):
        assert await accept(feed, await feed.receive(1)) == [Settled.DONE]
    await transport.remove(events_of(stage))


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (RedisTransport, Source.EVENTS),
        (RedisTransport, Source.BROADCAST),
        (RedisPubSubTransport, Source.BROADCAST),
    ],
)
async def test_a_subscription_that_is_cancelled_leaves_no_connection(
    stage: Stage, proxy: FaultProxy, redis_broker: Redis, kind: Kind, source: Source
) -> None:
    transport: Transport = kind(proxy.url(redis_broker.url))
    await transport.open(ignore)
    before = proxy.connections
    for turns in range(0, 60, 2):
        if feed := await cancelled_after(turns, transport.subscribe(events_of(stage, source))):
            await feed.stop()

    async def as_before() -> bool:
        return proxy.connections <= before

    await stage.until(as_before, "every connection closed", patience=8.0)
    await transport.remove(events_of(stage), force=True)
    await transport.close()


async def test_a_cancelled_subscription_listens_to_no_channel(stage: Stage, redis_broker: Redis) -> None:
    transport = RedisPubSubTransport(redis_broker.url)
    await transport.open(ignore)
    for turns in range(12):
        if feed := await cancelled_after(turns, transport.subscribe(events_of(stage, Source.BROADCAST))):
            await feed.stop()
    assert await ask(redis_broker.url, "PUBSUB", "NUMSUB", stage.topic.name) == [stage.topic.name.encode(), 0]
    await transport.close()


@pytest.mark.parametrize("kind", [RedisTransport, RedisPubSubTransport])
async def test_a_transport_that_is_closed_while_it_subscribes_leaves_no_connection(
    stage: Stage, redis_broker: Redis, proxy: FaultProxy, kind: Kind
) -> None:
    for turns in range(0, 40, 2):
        transport: Transport = kind(proxy.url(redis_broker.url))
        await transport.open(ignore)
        subscribing = asyncio.ensure_future(transport.subscribe(events_of(stage, Source.BROADCAST)))
        for _ in range(turns):
            await asyncio.sleep(0)
        await transport.close()
        await asyncio.wait([subscribing])
        if (error := subscribing.exception()) is None:
            with pytest.raises(ConnectionLost):
                await subscribing.result().receive(1)
        else:
            assert type(error).__module__ == "events_core.errors"

    async def none() -> bool:
        return proxy.connections == 0

    await stage.until(none, "every connection closed", patience=8.0)
