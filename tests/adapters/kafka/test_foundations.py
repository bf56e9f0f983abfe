"""What the adapter builds on: things that Kafka and the client library do, and nobody promised."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from brokers import Kafka
from events_core.conformance.events import Noted
from events_core.conformance.stage import Stage
from events_kafka import KafkaTransport
from tests.adapters.kafka.conftest import QUICK
from tests.adapters.kafka.strangers import Committed, commit, committed, make_topic, records

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]


@pytest.mark.parametrize("note", ['{"starts":3}', "grün 🚀", "x" * 4_096], ids=["numbers", "any text", "the longest"])
async def test_what_is_noted_with_an_offset_is_read_by_others(kafka: Kafka, note: str) -> None:
    """The count of how often a delivery was begun is kept there."""
    topic = f"foundations.{uuid4().hex}"
    await make_topic(kafka.url, topic)
    await commit(kafka.url, topic, topic, 0, note)
    assert await committed(kafka.url, topic) == {(topic, 0): Committed(0, note)}


async def test_what_is_being_sent_when_the_node_is_killed_is_stored_once_and_in_order(fresh_kafka: Kafka) -> None:
    stage = Stage(lambda: KafkaTransport(f"{fresh_kafka.url}?{QUICK}"), test="once", patience=20.0, delays=(0.2,))
    await stage.open()
    sending = asyncio.create_task(send_all(stage))
    await stage.until(lambda: stored(fresh_kafka, stage, 50), "50 events stored")
    fresh_kafka.kill()
    await asyncio.to_thread(fresh_kafka.start)
    confirmed = await sending
    found = [each.headers["ce_id"].decode() for each in await records(fresh_kafka.url, stage.topic.name)]
    assert set(confirmed) <= set(found)
    assert [id for id, times in Counter(found).items() if times > 1] == []
    assert found == sorted(found, key=int)
    await stage.close()


async def send_all(stage: Stage) -> list[str]:
    return [
        await stage.sender.send(stage.topic, Noted(number), id=str(number), key="k", timeout=30.0)
        for number in range(500)
    ]


async def stored(kafka: Kafka, stage: Stage, number: int) -> bool:
    return len(await records(kafka.url, stage.topic.name)) >= number
