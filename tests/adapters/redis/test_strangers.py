"""Producers and consumers that do not know this library."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from brokers import Redis
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled, forever
from events_core.conformance.stage import Stage
from events_core.errors import EventTooLarge
from events_core.integration import Registration, RetryPolicy
from events_core.ports import MAX_EVENT_BYTES
from tests.adapters.redis.strangers import Entry, ask, entries, stream_of

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]

NAMED = "conformance.noted"


def body(number: int, **fields: str) -> str:
    return json.dumps(Noted(number, **fields).to_dict())


async def handled(stage: Stage, broker: Redis, *fields: str | bytes | int) -> Handled:
    """What a handler gets of an entry that a stranger adds."""
    recorder = stage.recorder()
    await stage.consume(recorder)
    await ask(broker.url, "XADD", stream_of(stage.topic), "*", *fields)
    await recorder.count(1)
    return recorder.done[0]


async def test_an_entry_added_by_redis_cli_is_handled_by_its_body(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    await asyncio.to_thread(
        redis_broker.command, "XADD", stream_of(stage.topic), "*", "body", body(1, text="hello from a terminal")
    )
    await recorder.count(1)
    assert recorder.done[0].event == Noted(1, "hello from a terminal")


async def test_an_entry_without_headers_has_its_own_id_and_no_metadata(stage: Stage, redis_broker: Redis) -> None:
    call = await handled(stage, redis_broker, "body", body(1, text="hello"))
    assert call.event == Noted(1, "hello")
    (entry,) = await entries(redis_broker.url, stage.topic)
    assert entry.id in call.context.id
    assert (call.context.source, call.context.time, call.context.key) == ("", None, None)
    assert call.context.headers == {}


async def test_fields_of_any_kind_are_headers_to_a_handler(stage: Stage, redis_broker: Redis) -> None:
    fields = ("int", -7, "text", "grün", "bytes", b"raw", "ce_id", "mine-1", "ce_partitionkey", "k-1")
    call = await handled(stage, redis_broker, *fields, "body", body(1))
    assert call.context.headers == {"int": "-7", "text": "grün", "bytes": "raw"}
    assert (call.context.id, call.context.key) == ("mine-1", "k-1")


async def test_bytes_that_are_no_text_are_no_header_and_stop_nobody(stage: Stage, redis_broker: Redis) -> None:
    call = await handled(stage, redis_broker, "broken", b"\xff\xfe", "fine", "yes", "body", body(1))
    assert call.event == Noted(1)
    assert call.context.headers["fine"] == "yes"


async def test_an_event_without_any_id_has_one_that_stays(stage: Stage, redis_broker: Redis) -> None:
    async def fail_once(call: Handled) -> None:
        if call.context.attempt == 1:
            raise OSError("not yet")

    recorder = stage.recorder(act=fail_once)
    await stage.consume(recorder)
    await ask(redis_broker.url, "XADD", stream_of(stage.topic), "*", "body", body(1))
    await recorder.count(1)
    (id,) = {each.context.id for each in recorder.begun}
    assert id
    assert recorder.attempts == [1, 2]


@pytest.mark.parametrize(
    "fields", [("body", b"\xff no json"), ("body", ""), ("temperature", 21), ("body", b'{"nested": ' + b"[" * 200_000)]
)
async def test_an_entry_that_is_no_event_is_a_dead_letter_and_its_neighbours_are_handled(
    stage: Stage, redis_broker: Redis, fields: tuple[str | bytes | int, ...]
) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    await ask(redis_broker.url, "XADD", stream_of(stage.topic), "*", *fields)
    await stage.fence(recorder)
    (letter,) = await stage.dead_letters(recorder.name, 1)
    assert letter.reason == "malformed"


@pytest.mark.parametrize("size", [70_000, MAX_EVENT_BYTES - 1_000])
async def test_a_large_body_arrives_whole(stage: Stage, redis_broker: Redis, size: int) -> None:
    text = "".join(chr(ord("a") + place % 26) for place in range(size))
    recorder = stage.recorder()
    await stage.consume(recorder)
    await ask(redis_broker.url, "XADD", stream_of(stage.topic), "*", "body", body(1, text=text))
    await stage.send(Noted(2, text))
    await recorder.count(2)
    assert sorted(recorder.numbers) == [1, 2]
    assert {getattr(each.event, "text", "") for each in recorder.done} == {text}


async def test_a_plain_consumer_reads_what_is_sent_by_its_body_alone(stage: Stage, redis_broker: Redis) -> None:
    await stage.send(Noted(1, "x" * 300_000))
    (entry,) = await entries(redis_broker.url, stage.topic)
    assert json.loads(entry.fields["body"]) == {"type": NAMED, "version": 1, "number": 1, "text": "x" * 300_000}


async def test_a_group_of_a_stranger_reads_beside_ours(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    topic = stream_of(stage.topic)
    await ask(redis_broker.url, "XGROUP", "CREATE", topic, "theirs", "$", "MKSTREAM")
    await stage.send_numbers(1, 2, 3)
    await recorder.see(1, 2, 3)
    answer = await ask(redis_broker.url, "XREADGROUP", "GROUP", "theirs", "me", "COUNT", 10, "STREAMS", topic, ">")
    assert str(answer).count("ce_id") == 3


async def test_the_cloudevents_sdk_understands_what_is_sent(stage: Stage, redis_broker: Redis) -> None:
    before = datetime.now(UTC)
    await stage.sender.send(stage.topic, Noted(1), id="n-1", key="k-1", headers={"tenant": "7"})
    (entry,) = await entries(redis_broker.url, stage.topic)
    event = from_kafka_event(as_kafka_message(entry))
    assert (event.get_id(), event.get_type(), event.get_source()) == ("n-1", NAMED, "conformance")
    assert (event.get_specversion(), event.get_datacontenttype()) == ("1.0", "application/json")
    assert event.get_data() == Noted(1).to_dict()
    assert (event.get_extension("partitionkey"), event.get_extension("eventversion")) == ("k-1", "1")
    assert event.get_extension("correlationid") == "n-1"
    time = event.get_time()
    assert time is not None
    assert abs((time - before).total_seconds()) < 5
    assert entry.fields["tenant"] == b"7"


def as_kafka_message(entry: Entry) -> KafkaMessage:
    """CloudEvents has no binding for Redis: ours spells attributes as that for Kafka, with the body in a field."""
    headers = {name: value for name, value in entry.fields.items() if name != "body"}
    return KafkaMessage(headers=headers, key=None, value=entry.fields["body"])


@pytest.mark.parametrize("prefix", ["header-", "events-"])
async def test_an_entry_with_thousands_of_fields_does_not_stop_a_subscription(
    stage: Stage, redis_broker: Redis, prefix: str
) -> None:
    gate = asyncio.Event()

    async def fail_twice(call: Handled) -> None:
        if call.number == 1 and call.context.attempt == 1 and not gate.is_set():
            await forever(call)
        if call.number == 1 and call.context.attempt < 3:
            raise OSError("not yet")

    recorder = stage.recorder(act=fail_twice)
    killed = await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=(0.2, 0.2))))
    headers = [word for number in range(5_000) for word in (f"{prefix}{number}", "x")]
    await ask(redis_broker.url, "XADD", stream_of(stage.topic), "*", "body", body(1), *headers)
    await recorder.begin(1)
    gate.set()
    await killed.kill()
    await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=(0.2, 0.2))))
    await recorder.see(1)
    await stage.fence(recorder)


@pytest.mark.parametrize("returns", ["9" * 5_000, "-1", "nan", "inf", "many", ""])
async def test_a_count_that_a_stranger_invents_stops_nobody(stage: Stage, redis_broker: Redis, returns: str) -> None:
    call = await handled(stage, redis_broker, "x-events-returns", returns, "body", body(1))
    assert call.event == Noted(1)


async def test_an_event_over_the_limit_is_refused_before_the_broker_sees_it(stage: Stage, redis_broker: Redis) -> None:
    with pytest.raises(EventTooLarge):
        await stage.send(Noted(1, "x" * MAX_EVENT_BYTES))
    assert await ask(redis_broker.url, "EXISTS", stream_of(stage.topic)) == 0
