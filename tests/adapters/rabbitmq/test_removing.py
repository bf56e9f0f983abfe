"""Removing a subscription of which somebody deleted a part."""

import asyncio

import pytest

from brokers import RabbitMQ
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.errors import SubscriptionNotEmpty
from events_core.integration import Registration, RetryPolicy
from tests.adapters.rabbitmq.strangers import on_channel

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

SHORT, LONG = 0.2, 60.0


async def test_retries_that_wait_are_seen_although_the_first_delay_queue_is_gone(
    stage: Stage, rabbitmq: RabbitMQ
) -> None:
    async def fail(call: Handled) -> None:
        raise OSError("not yet")

    recorder = stage.recorder(act=fail)
    process = await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=(SHORT, LONG))))
    await stage.send_numbers(1)
    await recorder.begin(2)
    await process.bus.shutdown(5)
    await on_channel(rabbitmq.url, lambda channel: channel.queue_delete(f"{recorder.name}.{stage.topic.name}.wait.1"))
    with pytest.raises(SubscriptionNotEmpty, match="1 events"):
        await stage.sender.delete_subscription(recorder.name, stage.topic)
    await stage.sender.delete_subscription(recorder.name, stage.topic, force=True)
    there = await asyncio.to_thread(rabbitmq.control, "list_queues", "name")
    assert [each for each in there.split() if stage.topic.name in each] == []
