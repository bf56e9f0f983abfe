"""Producers and consumers that do not know this library."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import aio_pika
import pytest
from aio_pika.abc import HeadersType
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event

from brokers import RabbitMQ
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.errors import EventTooLarge
from events_core.ports import MAX_EVENT_BYTES
from tests.adapters.rabbitmq.strangers import first, on_channel, publish, queue_of

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

FRAME = 131_072
NAMED = "conformance.noted"


def body(number: int, **fields: str) -> bytes:
    return json.dumps(Noted(number, **fields).to_dict()).encode()


async def handled(stage: Stage, rabbitmq: RabbitMQ, key: str, message: aio_pika.Message) -> Handled:
    """What a handler gets of a message that a stranger publishes."""
    recorder = stage.recorder()
    await stage.consume(recorder)
    await publish(rabbitmq.url, stage.topic.name, key, message)
    await recorder.count(1)
    return recorder.done[0]


@pytest.mark.parametrize("key", [NAMED, ""], ids=["its type", "nothing"])
async def test_a_bare_json_message_is_handled_by_its_body(stage: Stage, rabbitmq: RabbitMQ, key: str) -> None:
    call = await handled(stage, rabbitmq, key, aio_pika.Message(body(1, text="hello"), message_id="mine-1"))
    assert call.event == Noted(1, "hello")
    assert call.context.id == "mine-1"
    assert (call.context.source, call.context.time, call.context.key) == ("", None, None)
    assert call.context.headers == {}


async def test_headers_of_any_kind_are_text_to_a_handler(stage: Stage, rabbitmq: RabbitMQ) -> None:
    headers: HeadersType = {
        "int": -7,
        "yes": True,
        "bytes": bytearray(b"raw"),
        "moment": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "decimal": Decimal("1.5"),
        "float": 0.25,
        "text": "grün",
        "list": ["no", "text"],
        "table": {"no": "text"},
        "nothing": None,
    }
    call = await handled(stage, rabbitmq, NAMED, aio_pika.Message(body(1), headers=headers))
    assert call.context.headers == {
        "int": "-7",
        "yes": "true",
        "bytes": "raw",
        "moment": "2026-11-21 12:00:00+00:00",
        "decimal": "1.5",
        "float": "0.25",
        "text": "grün",
    }


async def test_an_event_without_any_id_has_one_that_stays(stage: Stage, rabbitmq: RabbitMQ) -> None:
    async def fail_once(call: Handled) -> None:
        if call.context.attempt == 1:
            raise OSError("not yet")

    recorder = stage.recorder(act=fail_once)
    await stage.consume(recorder)
    await publish(rabbitmq.url, stage.topic.name, NAMED, aio_pika.Message(body(1)))
    await recorder.count(1)
    (id,) = {each.context.id for each in recorder.begun}
    assert id
    assert recorder.attempts == [1, 2]


@pytest.mark.parametrize("size", [FRAME - 8, FRAME, 5 * FRAME, MAX_EVENT_BYTES - 1_000])
async def test_a_body_of_many_frames_arrives_whole(stage: Stage, rabbitmq: RabbitMQ, size: int) -> None:
    text = "".join(chr(ord("a") + place % 26) for place in range(size))
    recorder = stage.recorder()
    await stage.consume(recorder)
    await publish(rabbitmq.url, stage.topic.name, NAMED, aio_pika.Message(body(1, text=text)))
    await stage.send(Noted(2, text))
    await recorder.count(2)
    assert sorted(recorder.numbers) == [1, 2]
    assert {getattr(each.event, "text", "") for each in recorder.done} == {text}


async def test_a_plain_consumer_reads_what_is_sent_by_its_body_alone(stage: Stage, rabbitmq: RabbitMQ) -> None:
    async def act(channel: aio_pika.abc.AbstractChannel) -> aio_pika.abc.AbstractIncomingMessage:
        arrived = await queue_of(channel, stage.topic.name, NAMED)
        await stage.send(Noted(1, "x" * 300_000))
        return await first(arrived)

    message = await on_channel(rabbitmq.url, act)
    assert json.loads(message.body) == {"type": NAMED, "version": 1, "number": 1, "text": "x" * 300_000}
    assert message.content_type == "application/json"
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_the_cloudevents_sdk_understands_what_is_sent(stage: Stage, rabbitmq: RabbitMQ) -> None:
    before = datetime.now(UTC)

    async def act(channel: aio_pika.abc.AbstractChannel) -> aio_pika.abc.AbstractIncomingMessage:
        arrived = await queue_of(channel, stage.topic.name, "#")
        await stage.sender.send(stage.topic, Noted(1), id="n-1", key="k-1", headers={"tenant": "7"})
        return await first(arrived)

    message = await on_channel(rabbitmq.url, act)
    headers = {name: str(value) for name, value in message.headers.items()}
    event = from_rabbitmq_event(RabbitMQMessage(headers, message.content_type, message.body))
    assert (event.get_id(), event.get_type(), event.get_source()) == ("n-1", NAMED, "conformance")
    assert (event.get_specversion(), event.get_datacontenttype()) == ("1.0", "application/json")
    assert event.get_data() == Noted(1).to_dict()
    assert (event.get_extension("partitionkey"), event.get_extension("eventversion")) == ("k-1", "1")
    assert event.get_extension("correlationid") == "n-1"
    time = event.get_time()
    assert time is not None
    assert abs((time - before).total_seconds()) < 5
    assert headers["tenant"] == "7"


async def test_headers_that_fill_a_frame_do_not_stop_a_subscription(stage: Stage, rabbitmq: RabbitMQ) -> None:
    async def fail(call: Handled) -> None:
        if call.number == 1:
            raise OSError("x" * 5_000)

    recorder = stage.recorder(act=fail)
    await stage.consume(recorder)
    # What fits as it is does not fit any more once the bus has written its own beside it.
    headers: HeadersType = {"tenant": "t" * 130_000}
    await publish(rabbitmq.url, stage.topic.name, NAMED, aio_pika.Message(body(1), headers=headers))
    await recorder.begin(1)
    await stage.fence(recorder)
    (letter,) = await stage.dead_letters(recorder.name, 1)
    assert letter.attempts == 2


async def test_an_event_over_the_limit_is_refused_before_the_broker_sees_it(stage: Stage) -> None:
    with pytest.raises(EventTooLarge):
        await stage.send(Noted(1, "x" * MAX_EVENT_BYTES))
