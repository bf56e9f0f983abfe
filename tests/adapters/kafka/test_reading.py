"""What is read of topics that others wrote, changed or made anew."""

# pyright: basic
# aiokafka comes without types.

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.admin import NewPartitions  # type: ignore[import-untyped]

from brokers import Kafka
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.integration import Registration
from events_core.ports import AlertKind, Settlement, Subscription, Verdict
from tests.adapters.kafka.conftest import Connect
from tests.adapters.kafka.connections import opened
from tests.adapters.kafka.strangers import address, administration, committed, delete_topic, make_topic, running
from tests.adapters.kafka.test_strangers import body

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]

HALF_AN_HOUR = 1800.0
TYPES = frozenset({Noted.type})


@asynccontextmanager
async def producer(kafka: Kafka, transaction: str | None = None) -> AsyncGenerator[AIOKafkaProducer]:
    stranger = AIOKafkaProducer(bootstrap_servers=address(kafka.url), acks="all", transactional_id=transaction)
    async with running(stranger):
        yield stranger


async def test_an_event_from_a_clock_that_is_ahead_is_handled_at_once(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    async with producer(kafka) as stranger:
        ahead = round((time.time() + HALF_AN_HOUR) * 1000)
        await stranger.send_and_wait(stage.topic.name, body(1), timestamp_ms=ahead)
    await recorder.see(1)


async def test_headers_without_a_value_are_empty(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    nothing = cast("bytes", None)
    async with producer(kafka) as stranger:
        for name in ("ce_type", "mine", "events-kafka-returns"):
            await stranger.send_and_wait(stage.topic.name, body(1), headers=[(name, nothing)])
    await recorder.count(3)


async def test_a_topic_that_is_deleted_and_made_again_in_a_moment_is_read_from_its_beginning(
    stage: Stage, kafka: Kafka
) -> None:
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await stage.send_numbers(*range(20))
    await recorder.see(*range(20))
    await delete_topic(kafka.url, stage.topic.name)
    await make_topic(kafka.url, stage.topic.name, partitions=2)
    async with producer(kafka) as stranger:
        for number in range(100, 110):
            await stranger.send_and_wait(stage.topic.name, body(number), key=b"conformance")
    await recorder.see(*range(100, 110))
    await stage.alert(process, AlertKind.RECREATED)


async def test_partitions_that_are_added_are_read(stage: Stage, kafka: Kafka) -> None:
    recorder, screen = stage.recorder(), stage.recorder("screen")
    await stage.process(Registration(recorder, stage.topic), Registration(screen, stage.topic, broadcast=True))
    await stage.send_numbers(0)
    await screen.see(0)
    async with administration(kafka.url) as admin:
        await admin.create_partitions({stage.topic.name: NewPartitions(3)})
    number = 0

    async def both_read_the_new_one() -> bool:
        nonlocal number
        number += 1
        async with producer(kafka) as stranger:
            await stranger.send_and_wait(stage.topic.name, body(number), partition=2)
        await asyncio.sleep(0.1)
        return number in recorder.numbers and number in screen.numbers

    await stage.until(both_read_the_new_one, "an event of the new partition handled")
    await recorder.see(*range(number + 1))


async def test_an_event_of_a_transaction_that_was_aborted_is_not_handled(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    async with producer(kafka, stage.topic.name) as stranger:
        await stranger.begin_transaction()
        await stranger.send_and_wait(stage.topic.name, body(1), key=b"conformance")
        await stranger.abort_transaction()
        async with stranger.transaction():
            await stranger.send_and_wait(stage.topic.name, body(2), key=b"conformance")
    await recorder.see(2)
    await stage.fence(recorder)
    assert 1 not in recorder.numbers


async def test_what_is_being_handled_stays_where_it_is_while_many_join(stage: Stage) -> None:
    gate = asyncio.Event()

    async def hold(call: Handled) -> None:
        await gate.wait()

    first = stage.recorder(act=hold)
    await stage.consume(first)
    await stage.send_numbers(1, 2, 3)
    await first.begin(3)
    others = [stage.recorder() for _ in range(5)]
    await asyncio.gather(*(stage.consume(each) for each in others))
    gate.set()
    await first.see(1, 2, 3)
    await stage.send_numbers(4)

    async def is_handled() -> bool:
        return any(4 in each.numbers for each in (first, *others))

    await stage.until(is_handled, "the next event handled")
    assert {each.number for other in others for each in other.begun} <= {4}


async def test_what_was_settled_is_not_charged_for_the_end_of_what_is_handed_out_next_and_alone(
    stage: Stage, kafka: Kafka, connect: Connect
) -> None:
    topic = stage.topic
    await make_topic(kafka.url, topic.name, partitions=2)
    async with opened(connect()) as transport, producer(kafka) as stranger:
        feed = await transport.subscribe(Subscription(consumer="solo", topic=topic, types=TYPES, window=1))
        for number in range(6):
            await stranger.send_and_wait(topic.name, body(number), partition=number % 2)
        for _ in range(6):
            (only,) = await feed.receive(1)
            noted = await committed(kafka.url, f"solo.{topic.name}")
            charged = [json.loads(noted[topic.name, partition].metadata or "{}").get("starts") for partition in (0, 1)]
            assert len([each for each in charged if each]) == 1
            await feed.settle([Settlement(only, Verdict.ACCEPT)])
