"""What a process keeps of its feeds, and what it leaves on the broker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import cast

import pytest

from brokers import FaultProxy, Redis
from events_core.conformance.events import Noted
from events_core.conformance.stage import Stage
from events_core.errors import ConnectionLost
from events_core.integration import Registration
from events_core.ports import Settled, Settlement, Source, Verdict
from events_redis import RedisTransport
from tests.adapters.redis.ports import WIRE, events_of, ignore, received
from tests.adapters.redis.strangers import ask, pending, stream_of

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]


@pytest.fixture
async def transport(redis_broker: Redis, proxy: FaultProxy) -> AsyncGenerator[RedisTransport]:
    transport = RedisTransport(f"{proxy.url(redis_broker.url)}?lease=5&timeout=2")
    await transport.open(ignore)
    yield transport
    await transport.close()


async def test_what_another_member_holds_is_not_settled_by_who_held_it_before(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    late = await transport.subscribe(events_of(stage))
    await transport.publish(stage.topic, [WIRE])
    before = await received(late)
    # Whoever makes the group again reads again what is still there, under the same ids.
    await ask(redis_broker.url, "XGROUP", "DESTROY", stream_of(stage.topic), "first")
    next_one = await transport.subscribe(events_of(stage))
    again = await received(next_one)
    assert again.origin == before.origin
    with suppress(ConnectionLost):
        assert [*await late.settle([Settlement(before, Verdict.ACCEPT)])] == [Settled.LOST]
    assert await pending(redis_broker.url, stage.topic, "first") == 1
    assert [*await next_one.settle([Settlement(again, Verdict.ACCEPT)])] == [Settled.DONE]
    assert await pending(redis_broker.url, stage.topic, "first") == 0
    await transport.remove(events_of(stage), force=True)


async def test_a_lease_that_ran_out_is_a_lost_feed_and_others_take_over(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    feed = await transport.subscribe(events_of(stage))
    await transport.publish(stage.topic, [WIRE])
    held = await received(feed)
    (lease,) = cast("list[bytes]", await ask(redis_broker.url, "KEYS", f"{stream_of(stage.topic)}.first.lease.*"))
    await ask(redis_broker.url, "DEL", lease)
    with pytest.raises(ConnectionLost):
        await received(feed)
    with suppress(ConnectionLost):
        assert [*await feed.settle([Settlement(held, Verdict.ACCEPT)])] == [Settled.LOST]
    other = await transport.subscribe(events_of(stage))
    again = await received(other)
    assert (again.origin, again.starts) == (held.origin, 2)
    await other.settle([Settlement(again, Verdict.ACCEPT)])
    await transport.remove(events_of(stage), force=True)


async def test_a_feed_that_has_no_room_notices_that_its_connection_broke(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    feed = await transport.subscribe(events_of(stage, window=1))
    await transport.publish(stage.topic, [WIRE] * 2)
    await received(feed)
    waiting = asyncio.create_task(feed.receive(1))
    for each in cast("list[dict[str, str]]", await ask(redis_broker.url, "CLIENT LIST")):
        if each["cmd"] == "xreadgroup":
            await ask(redis_broker.url, "CLIENT", "KILL", "ID", each["id"])
    with pytest.raises(ConnectionLost):
        async with asyncio.timeout(8.0):
            await waiting
    await transport.remove(events_of(stage), force=True)


async def test_a_stopped_feed_leaves_no_connection_and_no_member(
    stage: Stage, redis_broker: Redis, proxy: FaultProxy, transport: RedisTransport
) -> None:
    before = proxy.connections
    for source in (Source.BROADCAST, Source.EVENTS, Source.DEAD):
        feed = await transport.subscribe(events_of(stage, source))
        waiting = asyncio.create_task(feed.receive(1))
        await asyncio.sleep(0)
        await feed.stop()
        assert [*await waiting] == []

    async def as_before() -> bool:
        return proxy.connections == before

    await stage.until(as_before, "every connection closed", patience=8.0)
    assert await ask(redis_broker.url, "KEYS", f"{stream_of(stage.topic)}.first.lease.*") == []
    await transport.remove(events_of(stage), force=True)


async def test_what_arrives_while_a_feed_is_stopped_goes_to_another_at_once(
    stage: Stage, transport: RedisTransport
) -> None:
    leaving, staying = await transport.subscribe(events_of(stage)), await transport.subscribe(events_of(stage))
    waiting = asyncio.create_task(leaving.receive(10))
    await asyncio.sleep(0)
    await transport.publish(stage.topic, [WIRE] * 5)
    await leaving.stop()
    got = [*await waiting]
    if got:
        await leaving.settle([Settlement(each, Verdict.RELEASE) for each in got])
    seen: list[str] = []
    async with asyncio.timeout(8.0):
        while len(seen) < 5:
            deliveries = await staying.receive(10)
            seen += [each.origin for each in deliveries]
            await staying.settle([Settlement(each, Verdict.ACCEPT) for each in deliveries])
    assert len(set(seen)) == 5
    await transport.remove(events_of(stage), force=True)


async def test_a_cancelled_receive_loses_nothing(stage: Stage, transport: RedisTransport) -> None:
    feed = await transport.subscribe(events_of(stage))
    for number in range(30):
        waiting = asyncio.create_task(feed.receive(1))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        sending = asyncio.create_task(transport.publish(stage.topic, [WIRE]))
        waiting.cancel()
        await asyncio.wait([waiting])
        assert [*await sending] == [None]
        delivery = (await waiting)[0] if not waiting.cancelled() else await received(feed)
        assert [*await feed.settle([Settlement(delivery, Verdict.ACCEPT)])] == [Settled.DONE]
    assert await feed.lag() == 0
    await transport.remove(events_of(stage), force=True)


async def test_a_frozen_broker_does_not_hold_up_closing(redis_broker: Redis) -> None:
    async with FaultProxy("127.0.0.1", redis_broker.port) as proxy:
        stage = Stage(
            lambda: RedisTransport(f"{proxy.url(redis_broker.url)}?timeout=1"), test="frozen", patience=5.0, delays=(1,)
        )
        await stage.open()
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await stage.send(Noted(1))
        await recorder.see(1)
        proxy.down = "hold"
        async with asyncio.timeout(8):
            await process.bus.shutdown(1)
        proxy.down = "pass"
        await stage.close()


async def test_what_a_lost_answer_handed_out_comes_again_without_waiting_for_the_lease(
    stage: Stage, redis_broker: Redis, proxy: FaultProxy
) -> None:
    transport = RedisTransport(f"{proxy.url(redis_broker.url)}?lease=60&timeout=2")
    recorder = stage.recorder()
    bus = stage.over(transport, Registration(recorder, stage.topic))
    await bus.startup()
    await stage.fence(recorder)
    proxy.down = "drop"
    lost = proxy.dropped["down"] + 1_000
    await stage.send(Noted(1, "." * 1_000))

    async def swallowed() -> bool:
        return proxy.dropped["down"] > lost

    await stage.until(swallowed, "the delivery on its way")
    proxy.reset()
    proxy.down = "pass"
    await recorder.see(1)
