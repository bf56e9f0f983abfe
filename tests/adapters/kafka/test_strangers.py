"""Producers and consumers that do not know this library."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from anyio import to_thread
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from brokers import Kafka
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.errors import EventTooLarge
from events_core.ports import MAX_EVENT_BYTES
from tests.adapters.kafka.strangers import NO_HEADERS, publish, records

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]

NAMED = "conformance.noted"


def body(number: int, **fields: str) -> bytes:
    return json.dumps(Noted(number, **fields).to_dict()).encode()


async def handled(
    stage: Stage, kafka: Kafka, value: bytes, *, key: bytes | None = None, headers: Mapping[str, bytes] = NO_HEADERS
) -> Handled:
    """What a handler gets of a record that a stranger publishes."""
    recorder = stage.recorder()
    await stage.consume(recorder)
    await publish(kafka.url, stage.topic.name, value, key=key, headers=headers)
    await recorder.count(1)
    return recorder.done[0]


async def test_a_line_typed_into_the_console_producer_is_handled(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    await to_thread.run_sync(kafka.type_in, stage.topic.name, body(1, text="it's me").decode(), body(2).decode())
    await recorder.see(1, 2)
    assert Noted(1, "it's me") in [each.event for each in recorder.done]
    assert len({each.context.id for each in recorder.done}) == 2


async def test_a_bare_json_record_is_handled_by_its_body(stage: Stage, kafka: Kafka) -> None:
    call = await handled(stage, kafka, body(1, text="hello"), key=b"mine")
    assert call.event == Noted(1, "hello")
    assert (call.context.source, call.context.time, call.context.key) == ("", None, "mine")
    assert call.context.headers == {}


async def test_headers_of_strangers_are_text_to_a_handler(stage: Stage, kafka: Kafka) -> None:
    headers = {"text": "grün 🚀".encode(), "raw": b"\xff\xfe", "empty": b"", "ce_id": b"mine-1"}
    call = await handled(stage, kafka, body(1), headers=headers)
    assert call.context.id == "mine-1"
    assert call.context.headers == {"text": "grün 🚀", "raw": "��", "empty": ""}


async def test_what_the_cloudevents_sdk_writes_is_understood(stage: Stage, kafka: Kafka) -> None:
    headers = {
        "ce_id": b"theirs-1",
        "ce_type": NAMED.encode(),
        "ce_source": b"/theirs",
        "ce_specversion": b"1.0",
        "ce_time": b"2026-11-21T12:00:00Z",
        "ce_eventversion": b"1",
        "content-type": b"application/json",
    }
    call = await handled(stage, kafka, json.dumps({"number": 7}).encode(), key=b"k-1", headers=headers)
    assert call.event == Noted(7)
    assert (call.context.id, call.context.source, call.context.key) == ("theirs-1", "/theirs", "k-1")
    assert call.context.time == datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_an_event_without_any_id_has_one_that_stays(stage: Stage, kafka: Kafka) -> None:
    async def fail_once(call: Handled) -> None:
        if call.context.attempt == 1:
            raise OSError("not yet")

    recorder = stage.recorder(act=fail_once)
    await stage.consume(recorder)
    await publish(kafka.url, stage.topic.name, body(1))
    await recorder.count(1)
    (id,) = {each.context.id for each in recorder.begun}
    assert id
    assert recorder.attempts == [1, 2]


async def test_what_is_no_event_becomes_a_dead_letter_and_stops_nobody(stage: Stage, kafka: Kafka) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    for nonsense in (b"\x00\xff", b"[1, 2", None):
        await publish(kafka.url, stage.topic.name, nonsense, key=b"k")
    await publish(kafka.url, stage.topic.name, body(1), key=b"k")
    await recorder.see(1)
    letters = await stage.dead_letters(recorder.name, 3)
    assert [letter.reason for letter in letters] == ["malformed"] * 3


async def test_a_plain_consumer_reads_what_is_sent_by_its_body_alone(stage: Stage, kafka: Kafka) -> None:
    await stage.sender.send(stage.topic, Noted(1, "x" * 300_000), key="k-1")
    (record,) = await records(kafka.url, stage.topic.name)
    assert record.value is not None
    assert json.loads(record.value) == {"type": NAMED, "version": 1, "number": 1, "text": "x" * 300_000}
    assert record.key == b"k-1"


async def test_the_cloudevents_sdk_understands_what_is_sent(stage: Stage, kafka: Kafka) -> None:
    before = datetime.now(UTC)
    await stage.sender.send(stage.topic, Noted(1), id="n-1", key="k-1", headers={"tenant": "7"})
    (record,) = await records(kafka.url, stage.topic.name)
    assert record.value is not None
    event = from_kafka_event(KafkaMessage(dict(record.headers), record.key, record.value))
    assert (event.get_id(), event.get_type(), event.get_source()) == ("n-1", NAMED, "conformance")
    assert (event.get_specversion(), event.get_datacontenttype()) == ("1.0", "application/json")
    assert event.get_data() == Noted(1).to_dict()
    assert (event.get_extension("partitionkey"), event.get_extension("eventversion")) == ("k-1", "1")
    assert event.get_extension("correlationid") == "n-1"
    time = event.get_time()
    assert time is not None
    assert abs((time - before).total_seconds()) < 5
    assert record.headers["tenant"] == b"7"


async def test_our_keys_choose_the_partition_that_the_java_client_chooses(stage: Stage, kafka: Kafka) -> None:
    """Kafka's default partitioner: murmur2 of the key. Then foreign producers and ours keep one order a key."""
    keys = [f"key-{number}" for number in range(20)]
    for key in keys:
        await stage.sender.send(stage.topic, Noted(1), key=key)
        await publish(kafka.url, stage.topic.name, body(2), key=key.encode())
    places: dict[bytes | None, set[int]] = {}
    for record in await records(kafka.url, stage.topic.name):
        places.setdefault(record.key, set()).add(record.partition)
    assert [len(each) for each in places.values()] == [1] * len(keys)
    assert {partition for each in places.values() for partition in each} == {0, 1}


async def test_the_largest_event_passes_and_a_larger_one_is_refused_before_the_broker_sees_it(stage: Stage) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    await stage.send(Noted(1, "x" * (MAX_EVENT_BYTES - 1_000)))
    await recorder.see(1)
    with pytest.raises(EventTooLarge):
        await stage.send(Noted(1, "x" * MAX_EVENT_BYTES))
