"""What becomes of settlements that Redis cannot take, of very many, and of dead letters."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from brokers import FaultProxy, Redis
from events_core.conformance.stage import Stage
from events_core.errors import ConnectionLost, SendRejected, SubscriptionNotEmpty
from events_core.ports import MAX_EVENT_BYTES, Settled, Settlement, Source, Verdict, Wire
from events_redis import RedisTransport
from tests.adapters.redis.ports import WIRE, accept, events_of, ignore, received, until_received
from tests.adapters.redis.strangers import ask, entries, stream_of

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]

OTHER = Wire({"type": "other"}, b"{}")


@pytest.fixture
async def transport(redis_broker: Redis) -> AsyncGenerator[RedisTransport]:
    transport = RedisTransport(redis_broker.url)
    await transport.open(ignore)
    yield transport
    await transport.close()


async def test_publishing_nothing_disturbs_no_other(stage: Stage, transport: RedisTransport) -> None:
    async with asyncio.timeout(5):
        results = await asyncio.gather(*(transport.publish(stage.topic, [WIRE] * number) for number in (1, 0, 2)))
    assert [[*each] for each in results] == [[None], [], [None, None]]


@pytest.mark.parametrize("number", [1, 2, 500])
async def test_events_that_a_full_redis_refuses_are_answered_so_and_not_stored(
    stage: Stage, fresh_redis: Redis, number: int
) -> None:
    transport = RedisTransport(fresh_redis.url)
    await transport.open(ignore)
    await ask(fresh_redis.url, "CONFIG", "SET", "maxmemory", "1mb")
    results = await transport.publish(stage.topic, [WIRE] * number)
    await ask(fresh_redis.url, "CONFIG", "SET", "maxmemory", "0")
    assert [type(each) for each in results] == [SendRejected] * number
    assert {"OOM" in str(each) or "maxmemory" in str(each) for each in results} == {True}
    assert await transport.publish(stage.topic, [WIRE] * number) == [None] * number
    assert await ask(fresh_redis.url, "XLEN", stream_of(stage.topic)) == number
    await transport.close()


async def test_events_for_a_key_of_another_type_are_refused_one_by_one(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    await ask(redis_broker.url, "SET", stream_of(stage.topic), "mine")
    refused, stored = await asyncio.gather(
        transport.publish(stage.topic, [WIRE] * 3), transport.publish(stage.new_topic(), [WIRE] * 3)
    )
    assert [type(each) for each in refused] == [SendRejected] * 3
    assert [*stored] == [None] * 3
    await ask(redis_broker.url, "DEL", stream_of(stage.topic))


async def test_a_batch_of_large_events_is_stored_in_its_order(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    wires = [Wire({"type": "t", "number": str(n)}, b"x" * (400_000 if n % 3 else 10)) for n in range(20)]
    assert [*await transport.publish(stage.topic, wires)] == [None] * 20
    found = await entries(redis_broker.url, stage.topic)
    assert [int(each.fields["number"]) for each in found] == list(range(20))
    await ask(redis_broker.url, "DEL", stream_of(stage.topic))


async def test_a_dead_letter_that_is_refused_keeps_no_other_settlement_back(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    feed = await transport.subscribe(events_of(stage))
    await transport.publish(stage.topic, [WIRE] * 3)
    dead, retried, accepted = await until_received(feed, 3)
    key = f"{stream_of(stage.topic)}.first.dead"
    await ask(redis_broker.url, "SET", key, "mine")
    batch = [
        Settlement(dead, Verdict.DEAD_LETTER),
        Settlement(retried, Verdict.RETRY, 0.2),
        Settlement(accepted, Verdict.ACCEPT),
    ]
    assert [*await feed.settle(batch)] == [Settled.AGAIN, Settled.DONE, Settled.DONE]
    assert (await received(feed)).origin == retried.origin
    await ask(redis_broker.url, "DEL", key)
    assert [*await feed.settle(batch)] == [Settled.DONE, Settled.LOST, Settled.LOST]
    assert await ask(redis_broker.url, "XLEN", key) == 1
    await transport.remove(events_of(stage), force=True)


async def test_a_dead_letter_whose_replay_is_refused_is_still_there(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    feed = await transport.subscribe(events_of(stage))
    await transport.publish(stage.topic, [WIRE])
    await feed.settle([Settlement(await received(feed), Verdict.DEAD_LETTER)])
    await feed.stop()
    retry, aside = f"{stream_of(stage.topic)}.first.retry", f"{stream_of(stage.topic)}.first.aside"
    await ask(redis_broker.url, "RENAME", retry, aside)
    await ask(redis_broker.url, "SET", retry, "mine")
    letters = await transport.subscribe(events_of(stage, Source.DEAD))
    letter = await received(letters)
    assert [*await letters.settle([Settlement(letter, Verdict.RETRY)])] == [Settled.AGAIN]
    await ask(redis_broker.url, "RENAME", aside, retry)
    assert await letters.lag() == 1
    assert [*await letters.settle([Settlement(letter, Verdict.RETRY)])] == [Settled.DONE]
    assert [*await letters.settle([Settlement(letter, Verdict.RETRY)])] == [Settled.LOST]
    assert await letters.lag() == 0
    await transport.remove(events_of(stage), force=True)


async def test_thousands_are_read_passed_over_released_and_settled_at_once(
    stage: Stage, transport: RedisTransport
) -> None:
    number = 9_000
    feed = await transport.subscribe(events_of(stage, window=number))
    for wire in (OTHER, WIRE):
        assert {*await transport.publish(stage.topic, [wire] * number)} == {None}
    first = await until_received(feed, number)
    assert [*await feed.settle([Settlement(each, Verdict.RELEASE) for each in first])] == [Settled.DONE] * number
    again = await until_received(feed, number)
    assert await accept(feed, again) == [Settled.DONE] * number
    assert await feed.lag() == 0
    await feed.stop()
    await transport.remove(events_of(stage))


async def test_a_hundred_large_copies_are_settled_without_keeping_anybody_waiting(
    stage: Stage, redis_broker: Redis
) -> None:
    transport = RedisTransport(f"{redis_broker.url}?timeout=1")
    await transport.open(ignore)
    feed = await transport.subscribe(events_of(stage))
    large = Wire({"type": "t"}, b"x" * MAX_EVENT_BYTES)
    for _ in range(25):
        await transport.publish(stage.topic, [large] * 4)
    deliveries = await until_received(feed, 100, at_once=4)
    settling = asyncio.create_task(feed.settle([Settlement(each, Verdict.DEAD_LETTER) for each in deliveries]))
    while not settling.done():
        assert await transport.publish(stage.topic, [OTHER]) == [None]
    assert [*await settling] == [Settled.DONE] * 100
    await transport.remove(events_of(stage), force=True)
    await ask(redis_broker.url, "DEL", stream_of(stage.topic))
    await transport.close()


async def test_a_hundred_large_events_of_a_member_that_is_gone_are_taken_over_step_by_step(
    stage: Stage, redis_broker: Redis, proxy: FaultProxy
) -> None:
    transport = RedisTransport(f"{proxy.url(redis_broker.url)}?timeout=1&lease=60")
    await transport.open(ignore)
    feed = await transport.subscribe(events_of(stage))
    large = Wire({"type": "t"}, b"x" * MAX_EVENT_BYTES)
    for _ in range(25):
        await transport.publish(stage.topic, [large] * 4)
    await until_received(feed, 100, at_once=4)
    proxy.reset()
    with pytest.raises(ConnectionLost):
        await feed.receive(1)
    other = await transport.subscribe(events_of(stage))
    again = await until_received(other, 100, at_once=4)
    assert {each.starts for each in again} == {2}
    assert await accept(other, again) == [Settled.DONE] * 100
    await transport.remove(events_of(stage))
    await ask(redis_broker.url, "DEL", stream_of(stage.topic))
    await transport.close()


async def test_unread_events_of_other_types_are_no_backlog(stage: Stage, transport: RedisTransport) -> None:
    feed = await transport.subscribe(events_of(stage))
    await feed.stop()
    await transport.publish(stage.topic, [OTHER] * 100)
    assert await feed.lag() == 0
    await transport.publish(stage.topic, [WIRE])
    with pytest.raises(SubscriptionNotEmpty, match="1 event"):
        await transport.remove(events_of(stage))
    other = await transport.subscribe(events_of(stage))
    assert await accept(other, [await received(other)]) == [Settled.DONE]
    await other.stop()
    await transport.publish(stage.topic, [OTHER] * 3_000)
    await transport.remove(events_of(stage))


async def test_what_does_not_say_its_type_is_backlog(
    stage: Stage, redis_broker: Redis, transport: RedisTransport
) -> None:
    await (await transport.subscribe(events_of(stage))).stop()
    await ask(redis_broker.url, "XADD", stream_of(stage.topic), "*", "body", "{}")
    with pytest.raises(SubscriptionNotEmpty):
        await transport.remove(events_of(stage))
    await transport.remove(events_of(stage), force=True)


async def test_a_group_that_was_set_back_keeps_what_it_has_to_read_again(stage: Stage, redis_broker: Redis) -> None:
    transport = RedisTransport(f"{redis_broker.url}?trim_every=1")
    await transport.open(ignore)
    feed = await transport.subscribe(events_of(stage))
    await transport.publish(stage.topic, [WIRE] * 5)
    deliveries = await until_received(feed, 5)
    await accept(feed, deliveries[:-1])
    await ask(redis_broker.url, "XGROUP", "SETID", stream_of(stage.topic), "first", "0")
    # Another topic's turn tells that the janitor has been around.
    marker = stage.new_topic()
    await transport.publish(marker, [WIRE])
    await ask(redis_broker.url, "XGROUP", "CREATE", stream_of(marker), "seen", "$")

    async def trimmed() -> bool:
        return cast("int", await ask(redis_broker.url, "XLEN", stream_of(marker))) == 0

    await stage.until(trimmed, "the janitor")
    assert len(await until_received(feed, 5)) == 5
    await transport.close()
