"""What a subscription is on the broker, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import cast

import pytest

from brokers import Redis
from events_core.conformance.events import Flagged, Noted
from events_core.conformance.recorder import Handled, Recorder
from events_core.conformance.stage import Process, Stage
from events_core.errors import SubscriptionNotEmpty, TopologyMismatch
from events_core.integration import Registration, RetryPolicy
from events_core.ports import AlertKind
from events_redis import RedisTransport
from tests.adapters.redis.strangers import ask, entries, stream_of

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]

LONG = 30.0


@pytest.fixture
async def stage(redis_broker: Redis, request: pytest.FixtureRequest) -> AsyncGenerator[Stage]:
    """As elsewhere, in a hurry to remove what is settled."""
    url = f"{redis_broker.url}?trim_every=0.2"
    stage = Stage(lambda: RedisTransport(url), test=request.function.__name__, patience=10.0, delays=(0.2,))
    await stage.open()
    yield stage
    await stage.close()


async def fail_once(call: Handled) -> None:
    if call.context.attempt == 1:
        raise OSError("not yet")


async def with_ladder(stage: Stage, recorder: Recorder, *delays: float) -> Process:
    return await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=delays)))


async def group(stage: Stage, broker: Redis, name: str) -> Mapping[str, object]:
    """What Redis says of a group of the stage's topic."""
    groups = cast("list[Mapping[str, object]]", await ask(broker.url, "XINFO GROUPS", stream_of(stage.topic)))
    (found,) = (each for each in groups if each["name"] == name.encode())
    return found


async def keys(stage: Stage, broker: Redis) -> list[str]:
    """All that is there for the stage's topic."""
    found = cast("list[bytes]", await ask(broker.url, "KEYS", f"*{stage.topic.name}*"))
    return sorted(each.decode() for each in found)


def holding(stage: Stage, broker: Redis, *numbers: int) -> Callable[[], Awaitable[bool]]:
    """Whether the topic's stream holds exactly these."""

    async def reached() -> bool:
        found = await entries(broker.url, stage.topic)
        return [json.loads(each.fields["body"])["number"] for each in found] == list(numbers)

    return reached


async def test_a_stopped_subscription_is_a_group_its_types_and_nothing_else(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await stage.send_numbers(1)
    await recorder.see(1)
    await process.bus.shutdown()
    found = await group(stage, redis_broker, recorder.name)
    assert (found["consumers"], found["pending"]) == (0, 0)


async def test_deleting_a_subscription_leaves_nothing_of_it(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder(act=fail_once)
    process = await with_ladder(stage, recorder, LONG)
    await stage.send_numbers(1)
    await recorder.begin(1)
    await stage.held(process, 0)
    await process.bus.shutdown(0)
    with pytest.raises(SubscriptionNotEmpty):
        await stage.sender.delete_subscription(recorder.name, stage.topic)
    await stage.sender.delete_subscription(recorder.name, stage.topic, force=True)
    assert [each for each in await keys(stage, redis_broker) if recorder.name in each] == []
    assert await ask(redis_broker.url, "XINFO GROUPS", stream_of(stage.topic)) == []


async def test_what_every_group_has_settled_is_removed_and_nothing_else(stage: Stage, redis_broker: Redis) -> None:
    gate = asyncio.Event()

    async def wait_at_three(call: Handled) -> None:
        if call.number == 3:
            await gate.wait()

    quick, slow = stage.recorder("quick"), stage.recorder("slow", act=wait_at_three)
    tidy = stage.unstarted(Registration(quick, stage.topic), Registration(slow, stage.topic, concurrency=1, prefetch=5))
    await tidy.startup()
    await stage.send_numbers(1, 2, 3, 4, 5)
    await quick.see(1, 2, 3, 4, 5)
    await slow.begin(3)
    await stage.until(holding(stage, redis_broker, 3, 4, 5), "the settled ones removed")
    gate.set()
    await slow.see(1, 2, 3, 4, 5)
    await stage.until(holding(stage, redis_broker), "all removed")


async def test_what_a_group_that_nobody_serves_has_not_read_is_kept(stage: Stage, redis_broker: Redis) -> None:
    quick, away = stage.recorder("quick"), stage.recorder("away")
    await (await stage.consume(away)).bus.shutdown()
    await stage.consume(quick)
    await stage.send_numbers(1, 2, 3)
    await quick.see(1, 2, 3)
    await ask(redis_broker.url, "XGROUP", "CREATE", stream_of(stage.topic), "theirs", "0")
    await stage.consume(away)
    await away.see(1, 2, 3)
    await stage.until(holding(stage, redis_broker, 1, 2, 3), "kept for a stranger")
    await stage.fence(quick, away)
    await ask(redis_broker.url, "XGROUP", "DESTROY", stream_of(stage.topic), "theirs")
    await stage.until(holding(stage, redis_broker), "all removed")


async def test_a_type_that_nobody_wants_stays_nowhere(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await stage.send(Flagged(1), Flagged(2), Noted(3))
    await recorder.see(3)
    await stage.held(process, 0)

    async def settled() -> bool:
        return (await group(stage, redis_broker, recorder.name))["pending"] == 0

    await stage.until(settled, "nothing pending")
    assert recorder.numbers == [3]
    await stage.until(holding(stage, redis_broker), "all removed")


async def test_a_changed_ladder_loses_nothing(stage: Stage) -> None:
    old = stage.recorder(act=fail_once)
    before = await with_ladder(stage, old, 1.0, LONG)
    await stage.send_numbers(1)
    await old.begin(1)
    await stage.held(before, 0)
    await before.bus.shutdown(0)
    new = stage.recorder(act=fail_once)
    await with_ladder(stage, new, 0.2)
    await stage.send_numbers(2)
    await new.see(1, 2)
    assert {each.number: each.context.attempt for each in new.done} == {1: 2, 2: 2}


async def test_waiting_retries_are_no_lag(stage: Stage) -> None:
    recorder = stage.recorder(act=fail_once)
    process = await with_ladder(stage, recorder, LONG)
    await stage.send_numbers(1)
    await recorder.begin(1)
    await stage.held(process, 0)
    (health,) = (await process.bus.health()).subscriptions
    assert health.lag == 0


async def test_a_namespace_stands_before_every_key(stage: Stage, redis_broker: Redis) -> None:
    def connect() -> RedisTransport:
        return RedisTransport(f"{redis_broker.url}?namespace=blue")

    space = Stage(connect, test="namespaces", patience=10.0, delays=(0.2,))
    await space.open()
    recorder = space.recorder()
    await space.consume(recorder)
    await space.send_numbers(1)
    await recorder.see(1)
    found = await keys(space, redis_broker)
    await space.close()
    assert found
    assert {each.partition(".")[0] for each in found} == {"blue"}


@pytest.mark.parametrize("suffix", ["", ".dead"])
async def test_a_key_of_another_type_is_refused_in_the_brokers_words_and_hurts_nobody(
    stage: Stage, redis_broker: Redis, suffix: str
) -> None:
    fine = stage.recorder("fine")
    process = await stage.consume(fine)
    refused, topic = stage.recorder("refused"), stage.topic if suffix else stage.new_topic()
    key = stream_of(topic) + (f".refused{suffix}" if suffix else "")
    await ask(redis_broker.url, "SET", key, "mine")
    with pytest.raises(TopologyMismatch) as caught:
        await process.bus.register(stage.note(Registration(refused, topic, retry=stage.retry)))
    assert key in str(caught.value)
    await stage.send_numbers(1)
    await fine.see(1)
    await ask(redis_broker.url, "DEL", key)


@pytest.mark.parametrize("command", ["DEL", "UNLINK"])
async def test_a_stream_that_was_deleted_is_made_anew_for_all_its_subscriptions(
    stage: Stage, redis_broker: Redis, command: str
) -> None:
    recorders = [stage.recorder("first"), stage.recorder("second")]
    process = await stage.process(*(Registration(each, stage.topic) for each in recorders))
    await stage.fence(*recorders)
    await ask(redis_broker.url, command, stream_of(stage.topic))

    async def reported() -> bool:
        alerts = (await process.bus.health()).alerts
        return {each.subject for each in alerts if each.kind is AlertKind.RECREATED} == {
            f"{each.name}.{stage.topic.name}" for each in recorders
        }

    await stage.until(reported, "both reported")
    await stage.fence(*recorders)


async def test_a_group_is_made_anew_where_it_misses_nothing(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    await stage.fence(recorder)
    async with asyncio.TaskGroup() as group:
        group.create_task(stage.send_numbers(*range(300)))
        group.create_task(destroy(stage, redis_broker, recorder.name))
    await recorder.see(*range(300))


async def destroy(stage: Stage, broker: Redis, name: str) -> None:
    await ask(broker.url, "XGROUP", "DESTROY", stream_of(stage.topic), name)


async def test_forgotten_scripts_are_loaded_again(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder(act=fail_once)
    process = await stage.consume(recorder)
    await stage.fence(recorder)
    await ask(redis_broker.url, "SCRIPT FLUSH")
    await stage.send_numbers(1, 2)
    await recorder.see(1, 2)
    assert (await process.bus.health()).alerts == ()


async def test_killed_connections_come_back(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await stage.fence(recorder)
    await ask(redis_broker.url, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await stage.alert(process, AlertKind.CONNECTION_LOST)
    await stage.ready(process)
    await stage.send_numbers(1)
    await recorder.see(1)


async def test_sends_of_one_caller_stay_in_their_order(stage: Stage, redis_broker: Redis) -> None:
    await asyncio.gather(*(stage.send_numbers(number) for number in range(200)))
    await stage.until(holding(stage, redis_broker, *range(200)), "in the order of the calls")
