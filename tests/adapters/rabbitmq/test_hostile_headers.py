"""Headers that somebody made to break a consumer."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import HeadersType

from brokers import RabbitMQ
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.integration import IntegrationEventBus, Registration
from tests.adapters.rabbitmq.strangers import publish

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

STRANGE = 7
MANY: HeadersType = {f"{number:04x}": number % 100 for number in range(15_000)}
"""Each takes fewer bytes as a number than as a text: all of them as texts are more than a frame."""
FAT = {"many numbers": MANY, "a long source": {"ce-source": "s" * 130_500}, "a long name": {"n" * 250: "v" * 125_000}}


def strange(headers: HeadersType) -> aio_pika.Message:
    """A stranger's message for `Noted`."""
    body = json.dumps(Noted(STRANGE).to_dict()).encode()
    return aio_pika.Message(body, headers=headers, message_id="strange", delivery_mode=2)


@asynccontextmanager
async def sending(bus: IntegrationEventBus, stage: Stage) -> AsyncGenerator[None]:
    """Inside, the bus sends without a pause to another topic; each of its sends has to be confirmed."""
    over = asyncio.Event()
    elsewhere = stage.new_topic()

    async def send() -> int:
        sent = 0
        while not over.is_set():
            await bus.send(elsewhere, Noted(sent))
            sent += 1
        return sent

    async with asyncio.TaskGroup() as tasks:
        senders = [tasks.create_task(send()) for _ in range(5)]
        yield
        over.set()
    assert all(each.result() for each in senders)


@pytest.mark.parametrize("name", ["x-events-returns", "x-delivery-count"])
async def test_a_count_of_five_thousand_digits_stops_no_subscription(
    stage: Stage, rabbitmq: RabbitMQ, name: str
) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    await stage.send_numbers(1)
    await publish(rabbitmq.url, stage.topic.name, Noted.type, strange({name: "9" * 5_000}))
    await stage.send_numbers(2, 3)
    await recorder.see(1, STRANGE, 2, 3)
    assert sorted(recorder.numbers) == [1, 2, 3, STRANGE]


@pytest.mark.parametrize("headers", FAT.values(), ids=FAT)
async def test_headers_that_grow_beyond_a_frame_are_retried_and_hurt_no_other_send(
    stage: Stage, rabbitmq: RabbitMQ, headers: HeadersType
) -> None:
    async def fail(call: Handled) -> None:
        if call.number == STRANGE:
            raise OSError("x" * 5_000)

    recorder = stage.recorder(act=fail)
    process = await stage.consume(recorder)
    async with sending(process.bus, stage):
        await publish(rabbitmq.url, stage.topic.name, Noted.type, strange(headers))
        (letter,) = await stage.dead_letters(recorder.name, 1)
    assert letter.attempts == 2
    assert [each.context.id for each in recorder.begun] == ["strange", "strange"]
    await stage.fence(recorder)


@pytest.mark.parametrize("headers", FAT.values(), ids=FAT)
async def test_headers_that_grow_beyond_a_frame_are_handed_back_and_hurt_no_other_send(
    stage: Stage, rabbitmq: RabbitMQ, headers: HeadersType
) -> None:
    gate = asyncio.Event()

    async def wait(call: Handled) -> None:
        await gate.wait()

    busy, free = stage.recorder(act=wait), stage.recorder()
    registration = Registration(busy, stage.topic, retry=stage.retry, concurrency=1)
    process = await stage.process(registration)
    await stage.send_numbers(1)
    await busy.begin(1)
    # What came back before is given back as a copy.
    returned: HeadersType = {**headers, "x-events-returns": "1"}
    await publish(rabbitmq.url, stage.topic.name, Noted.type, strange(returned))
    await stage.held(process, 2)
    async with sending(process.bus, stage):
        leaving = asyncio.create_task(process.bus.unregister(registration))
        await stage.consume(free)
        await free.see(STRANGE)
        gate.set()
        await leaving
    assert busy.numbers == [1]
