"""What a subscription is on the cluster, and what becomes of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from brokers import FaultProxy, Kafka
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled, Recorder
from events_core.conformance.stage import Process, Stage
from events_core.errors import NotConnected, SubscriptionNotEmpty, TopologyMismatch, UnsafeBroker
from events_core.integration import Registration, RetryPolicy
from events_core.ports import Topic, Wire
from events_kafka import KafkaTransport
from tests.adapters.kafka.conftest import Connect
from tests.adapters.kafka.connections import opened
from tests.adapters.kafka.strangers import (
    committed,
    configured,
    make_topic,
    nodes,
    partitions,
    records,
    topics,
)
from tests.broker_fixtures import MakeKafka
from tests.faults.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]

LONG = 60.0


async def fail_once(call: Handled) -> None:
    if call.context.attempt == 1:
        raise OSError("not yet")


async def fail(call: Handled) -> None:
    raise OSError("never")


async def with_ladder(stage: Stage, recorder: Recorder, *delays: float) -> Process:
    return await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=delays)))


def holding(kafka: Kafka, topic: str, number: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return await partitions(kafka.url, topic) > 0 and len(await records(kafka.url, topic)) == number

    return reached


async def test_a_topic_is_made_with_its_partitions_and_retention(kafka: Kafka, connect: Connect) -> None:
    stage = Stage(lambda: connect("&retention=86400"), test="made", patience=20.0, delays=(0.2,))
    stage.topic = Topic(stage.topic.name, partitions=5, retention=3_600.0)
    other = Topic(f"{stage.topic.name}.other")
    await stage.open()
    await stage.send_numbers(1)
    await stage.sender.send(other, Noted(2))
    assert await partitions(kafka.url, stage.topic.name) == 5
    settings = await configured(kafka.url, stage.topic.name)
    assert (settings["retention.ms"], settings["cleanup.policy"]) == ("3600000", "delete")
    assert await partitions(kafka.url, other.name) == 2
    assert (await configured(kafka.url, other.name))["retention.ms"] == "86400000"
    await stage.close()


async def test_a_cluster_that_answers_while_none_of_its_nodes_is_up_is_waited_for(make_kafka: MakeKafka) -> None:
    # Its signs of life come later than they have to: it is up for a second, then not for a second, and so on.
    faint = make_kafka(settings={"broker.heartbeat.interval.ms": "2000", "broker.session.timeout.ms": "1000"})

    async def is_not_up() -> bool:
        return await nodes(faint.url) == 0

    async with opened(KafkaTransport(f"{faint.url}?partitions=1")) as transport:
        await until(is_not_up, within=20)
        assert await transport.publish(Topic("first"), [Wire({"type": "t"}, b"{}")]) == [None]


async def test_a_topic_is_not_made_before_there_are_as_many_nodes_as_it_has_replicas(
    connect: Connect, kafka: Kafka
) -> None:
    async with opened(connect("&replicas=2")) as transport:
        (answer,) = await transport.publish(Topic("replicated"), [Wire({"type": "t"}, b"{}")])
    assert isinstance(answer, NotConnected)
    assert "2 time(s)" in str(answer)
    assert await partitions(kafka.url, "replicated") == 0


async def test_a_topic_that_is_there_keeps_its_partitions_and_settings(stage: Stage, kafka: Kafka) -> None:
    await make_topic(kafka.url, stage.topic.name, partitions=3, retention_ms="777000")
    recorder = stage.recorder()
    await stage.consume(recorder)
    for number in range(9):
        await stage.sender.send(stage.topic, Noted(number), key=str(number))
    await recorder.see(*range(9))
    assert await partitions(kafka.url, stage.topic.name) == 3
    assert (await configured(kafka.url, stage.topic.name))["retention.ms"] == "777000"
    assert len({each.partition for each in await records(kafka.url, stage.topic.name)}) > 1


async def test_dead_letters_are_kept_in_a_compacted_topic_and_a_tombstone_ends_one(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder(act=fail)
    await with_ladder(stage, recorder)
    await stage.send_numbers(1, 2)
    first, _ = await stage.dead_letters(recorder.name, 2)
    dead = f"{recorder.name}.{stage.topic.name}.dead"
    assert (await configured(kafka.url, dead))["cleanup.policy"] == "compact"
    kept = await records(kafka.url, dead)
    assert len({each.key for each in kept}) == 2
    assert await stage.sender.dead_letters(recorder.name, stage.topic).discard(first.id) == 1
    *_, last = await records(kafka.url, dead)
    assert last.value is None
    assert last.key in {each.key for each in kept}
    assert len(await stage.sender.dead_letters(recorder.name, stage.topic).list()) == 1


async def test_a_topic_for_dead_letters_that_forgets_is_refused(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    dead = f"{recorder.name}.{stage.topic.name}.dead"
    await make_topic(kafka.url, dead, cleanup_policy="delete")
    with pytest.raises(UnsafeBroker, match=r"cleanup\.policy") as caught:
        await stage.consume(recorder)
    assert dead in str(caught.value)


async def test_a_topic_whose_leader_may_have_missed_events_is_refused_or_accepted_by_name(
    stage: Stage, kafka: Kafka, connect: Connect
) -> None:
    await make_topic(kafka.url, stage.topic.name, unclean_leader_election_enable="true")
    with pytest.raises(UnsafeBroker, match=r"unclean\.leader\.election\.enable"):
        await stage.consume(stage.recorder())
    registration = stage.note(Registration(stage.recorder(), stage.topic, retry=stage.retry))
    async with stage.over(connect("&accept=unclean.leader.election.enable"), registration) as bus:
        assert (await bus.health()).ready


async def test_a_name_that_kafka_confuses_with_another_is_refused_in_its_own_words(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    await make_topic(kafka.url, f"{recorder.name}.{stage.topic.name}.dead".replace(".", "_"))
    with pytest.raises(TopologyMismatch, match="collides"):
        await stage.consume(recorder)


async def test_a_retry_waits_in_the_topic_of_its_step_and_comes_to_its_own_subscription_only(
    stage: Stage, kafka: Kafka
) -> None:
    recorder, other = stage.recorder("first", act=fail_once), stage.recorder("second")
    await with_ladder(stage, recorder, 0.2, LONG)
    await stage.consume(other)
    await stage.send_numbers(1)
    await recorder.see(1)
    await stage.fence(other)
    assert other.attempts == [1, 1]
    prefix = f"{recorder.name}.{stage.topic.name}.retry."
    steps = {name.removeprefix(prefix) for name in await topics(kafka.url) if name.startswith(prefix)}
    assert {"200", "60000"} <= steps
    waited = await records(kafka.url, f"{prefix}200")
    assert recorder.done[0].context.id.encode() in [each.headers["ce_id"] for each in waited]


async def test_the_topic_of_a_step_taken_out_of_the_ladder_is_still_read(stage: Stage, kafka: Kafka) -> None:
    old = stage.recorder(act=fail_once)
    before = await with_ladder(stage, old, 6.0, LONG)
    await stage.send_numbers(1)
    waiting = f"{old.name}.{stage.topic.name}.retry.6000"
    await stage.until(holding(kafka, waiting, 1), "the retry waiting")
    await before.bus.shutdown(0)
    new = stage.recorder()
    await with_ladder(stage, new, 0.2)
    await new.see(1)
    assert new.attempts == [2]


async def test_removing_sees_what_waits_on_a_step_of_no_ladder_any_more(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder(act=fail_once)
    process = await with_ladder(stage, recorder, LONG)
    await stage.send_numbers(1)
    waiting = f"{recorder.name}.{stage.topic.name}.retry.60000"
    await stage.until(holding(kafka, waiting, 1), "the retry waiting")
    await process.bus.shutdown(0)
    changed = await with_ladder(stage, recorder, 0.2)
    await changed.bus.shutdown(0)
    with pytest.raises(SubscriptionNotEmpty, match="1 "):
        await stage.sender.delete_subscription(recorder.name, stage.topic)
    await stage.sender.delete_subscription(recorder.name, stage.topic, force=True)
    prefix = f"{recorder.name}.{stage.topic.name}"
    assert [each for each in await topics(kafka.url) if each.startswith(prefix)] == []
    assert await committed(kafka.url, prefix) == {}


async def test_a_subscription_that_is_consumed_elsewhere_is_not_removed(stage: Stage) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    with pytest.raises(SubscriptionNotEmpty, match="consumed"):
        await stage.sender.delete_subscription(recorder.name, stage.topic)


async def test_forced_deletion_does_not_wait_for_members_that_stand_still(kafka: Kafka, stage: Stage) -> None:
    async with FaultProxy(kafka.host, kafka.proxied_port, at=kafka.proxy_port) as proxy:
        transport = KafkaTransport(f"{kafka.proxied_url}?session_timeout={LONG:g}&heartbeat_interval=0.3&timeout=2")
        recorder = stage.recorder()
        bus = stage.over(transport, Registration(recorder, stage.topic))
        await bus.startup(stage.patience)
        await stage.send_numbers(1)
        await recorder.see(1)
        proxy.up = "hold"
        async with asyncio.timeout(LONG / 4):
            await stage.sender.delete_subscription(recorder.name, stage.topic, force=True)
        assert await committed(kafka.url, f"{recorder.name}.{stage.topic.name}") == {}
        await bus.shutdown(0)


async def test_waiting_retries_are_no_lag(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder(act=fail_once)
    process = await with_ladder(stage, recorder, LONG)
    await stage.send_numbers(1)
    waiting = f"{recorder.name}.{stage.topic.name}.retry.60000"
    await stage.until(holding(kafka, waiting, 1), "the retry waiting")
    await stage.lags(process, 0)


async def test_where_a_subscription_begins_is_on_the_broker_before_it_has_read_anything(
    stage: Stage, kafka: Kafka
) -> None:
    await stage.send_numbers(1, 2)
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await process.transport.close()
    places = await committed(kafka.url, f"{recorder.name}.{stage.topic.name}")
    assert sum(at.offset for at in places.values()) == 2
    assert len(places) == 2
    await process.bus.shutdown(0)


async def test_what_a_subscription_wants_is_on_the_broker(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    told = [
        json.dumps([each.value.decode() if each.value else "", (each.key or b"").decode()])
        for each in await records(kafka.url, "events.subscriptions")
    ]
    assert any(stage.topic.name in each and Noted.type in each for each in told)
