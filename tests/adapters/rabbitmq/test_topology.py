"""What a subscription is on the broker, and what becomes of it."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from pamqp.common import FieldTable

from brokers import RabbitMQ
from events_core.conformance.events import Flagged, Noted
from events_core.conformance.recorder import Handled, Recorder
from events_core.conformance.stage import Process, Stage
from events_core.errors import OutcomeUnknown, SendRejected, SubscriptionNotEmpty, TopologyMismatch
from events_core.integration import Registration, RetryPolicy
from events_core.ports import AlertKind
from tests.adapters.rabbitmq.strangers import first, on_channel, queue_of

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

LONG = 30.0


async def fail_once(call: Handled) -> None:
    if call.context.attempt == 1:
        raise OSError("not yet")


async def with_ladder(stage: Stage, recorder: Recorder, *delays: float) -> Process:
    return await stage.process(Registration(recorder, stage.topic, retry=RetryPolicy(delays=delays)))


def subscription(stage: Stage, recorder: Recorder, *suffixes: str) -> list[str]:
    """The names of its queues."""
    return [".".join((recorder.name, stage.topic.name, *filter(None, [each]))) for each in suffixes]


async def waits_on(rabbitmq: RabbitMQ, queue: str) -> int:
    """How many messages a queue holds for nobody."""

    async def act(channel: AbstractChannel) -> int:
        declared = await channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0

    return await on_channel(rabbitmq.url, act)


def holding(rabbitmq: RabbitMQ, queue: str, number: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return await waits_on(rabbitmq, queue) == number

    return reached


async def test_a_changed_ladder_finds_its_steps_again_and_loses_nothing(stage: Stage, rabbitmq: RabbitMQ) -> None:
    old = stage.recorder(act=fail_once)
    before = await with_ladder(stage, old, 2.0, LONG)
    (removed, kept, added) = subscription(stage, old, "wait.1", "wait.2", "wait.3")
    await stage.send_numbers(1)
    await stage.until(holding(rabbitmq, removed, 1), "the retry waiting")
    await before.bus.shutdown(0)

    async def fail_at_first(call: Handled) -> None:
        if call.number == 2 and call.context.attempt == 1:
            raise OSError("not yet")

    new = stage.recorder(act=fail_at_first)
    await with_ladder(stage, new, 0.2, LONG)
    await stage.send_numbers(2)
    await new.see(1, 2)
    assert {each.number: each.context.attempt for each in new.done} == {1: 2, 2: 2}
    assert [await waits_on(rabbitmq, queue) for queue in (removed, kept, added)] == [0, 0, 0]
    with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
        await waits_on(rabbitmq, subscription(stage, new, "wait.4")[0])


async def test_removing_sees_what_waits_on_a_step_of_no_ladder_any_more(stage: Stage, rabbitmq: RabbitMQ) -> None:
    recorder = stage.recorder(act=fail_once)
    process = await with_ladder(stage, recorder, LONG)
    await stage.send_numbers(1)
    queues = subscription(stage, recorder, "", "dead", "wait.1", "wait.2")
    await stage.until(holding(rabbitmq, queues[2], 1), "the retry waiting")
    await process.bus.shutdown(0)
    changed = await with_ladder(stage, recorder, 0.2)
    await changed.bus.shutdown(0)
    with pytest.raises(SubscriptionNotEmpty, match="1 events"):
        await stage.sender.delete_subscription(recorder.name, stage.topic)
    await stage.sender.delete_subscription(recorder.name, stage.topic, force=True)
    there = await asyncio.to_thread(rabbitmq.control, "list_queues", "name")
    assert [each for each in there.split() if stage.topic.name in each] == []


async def test_a_subscription_that_is_consumed_elsewhere_is_not_removed(stage: Stage) -> None:
    recorder = stage.recorder()
    await stage.consume(recorder)
    with pytest.raises(SubscriptionNotEmpty, match="consumed"):
        await stage.sender.delete_subscription(recorder.name, stage.topic)


async def test_a_queue_of_other_properties_is_refused_in_the_brokers_words_and_hurts_nobody(
    stage: Stage, rabbitmq: RabbitMQ
) -> None:
    fine = stage.recorder("fine")
    process = await stage.consume(fine)
    refused = stage.recorder("refused")
    (queue,) = subscription(stage, refused, "")

    async def make(channel: AbstractChannel) -> None:
        arguments: FieldTable = {"x-queue-type": "quorum", "x-max-length": 5}
        await channel.declare_queue(queue, durable=True, arguments=arguments)

    await on_channel(rabbitmq.url, make)
    with pytest.raises(TopologyMismatch) as caught:
        await process.bus.register(stage.note(Registration(refused, stage.topic, retry=stage.retry)))
    assert "PRECONDITION_FAILED - inequivalent arg" in str(caught.value)
    assert queue in str(caught.value)
    await stage.send_numbers(1)
    await fine.see(1)


async def test_an_exchange_of_another_type_is_refused_in_the_brokers_words(stage: Stage, rabbitmq: RabbitMQ) -> None:
    async def make(channel: AbstractChannel) -> None:
        await channel.declare_exchange(stage.topic.name, "fanout", durable=True)

    await on_channel(rabbitmq.url, make)
    with pytest.raises(TopologyMismatch, match="inequivalent arg 'type' for exchange"):
        await stage.consume(stage.recorder())


async def test_a_retry_whose_delay_queue_was_deleted_is_not_lost(stage: Stage, rabbitmq: RabbitMQ) -> None:
    gate = asyncio.Event()

    async def fail_after_the_gate(call: Handled) -> None:
        if call.context.attempt == 1 and not gate.is_set():
            await gate.wait()
            raise OSError("not yet")

    recorder = stage.recorder(act=fail_after_the_gate)
    process = await stage.consume(recorder)
    await stage.send_numbers(1)
    await recorder.begin(1)
    (delay_queue,) = subscription(stage, recorder, "wait.1")
    await on_channel(rabbitmq.url, lambda channel: channel.queue_delete(delay_queue))
    gate.set()
    await recorder.see(1)
    alert = await stage.alert(process, AlertKind.CONNECTION_LOST)
    assert "deleted" in alert.detail
    assert await waits_on(rabbitmq, delay_queue) == 0


async def test_an_event_that_nobody_wants_is_told_once_a_topic_and_type(stage: Stage) -> None:
    await stage.send(Noted(1), Noted(2), Flagged(3), Noted(4))
    alerts = (await stage.sender.health()).alerts
    told = [(each.subject, each.detail) for each in alerts if each.kind is AlertKind.UNROUTED]
    assert told == [
        (stage.topic.name, "no subscription wants conformance.noted"),
        (stage.topic.name, "no subscription wants conformance.flagged"),
    ]


async def test_a_retry_goes_to_its_own_subscription_only(stage: Stage, rabbitmq: RabbitMQ) -> None:
    recorder = stage.recorder(act=fail_once)
    await stage.consume(recorder)

    async def act(channel: AbstractChannel) -> bool:
        arrived = await queue_of(channel, stage.topic.name, "#")
        await stage.send_numbers(1)
        await recorder.see(1)
        await first(arrived)
        await stage.fence(recorder)
        return (await first(arrived)).headers["ce-id"] == recorder.done[-1].context.id

    assert await on_channel(rabbitmq.url, act)


async def test_waiting_retries_are_no_lag(stage: Stage, rabbitmq: RabbitMQ) -> None:
    recorder = stage.recorder(act=fail_once)
    process = await with_ladder(stage, recorder, LONG)
    await stage.send_numbers(1)
    await stage.until(holding(rabbitmq, subscription(stage, recorder, "wait.1")[0], 1), "the retry waiting")
    (health,) = (await process.bus.health()).subscriptions
    assert health.lag == 0


async def test_an_exchange_that_was_deleted_is_made_again_and_bound_when_a_consumer_starts(
    stage: Stage, rabbitmq: RabbitMQ
) -> None:
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await stage.send_numbers(1)
    await on_channel(rabbitmq.url, lambda channel: channel.exchange_delete(stage.topic.name))
    with pytest.raises(OutcomeUnknown):
        await stage.sender.send(stage.topic, Noted(2), id="2")
    await stage.sender.send(stage.topic, Noted(2), id="2")
    assert AlertKind.UNROUTED in [each.kind for each in (await stage.sender.health()).alerts]
    await process.bus.shutdown(1)
    await stage.consume(recorder)
    await stage.send_numbers(3)
    await recorder.see(1, 3)


async def test_a_queue_that_a_policy_limits_refuses_and_drops_nothing(stage: Stage, rabbitmq: RabbitMQ) -> None:
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await process.bus.shutdown(0)
    (queue,) = subscription(stage, recorder, "")
    policy = ("-p", "/", stage.topic.name, f"^{re.escape(queue)}$", '{"max-length": 3}')
    await asyncio.to_thread(rabbitmq.control, "set_policy", *policy)
    stored: list[int] = []

    async def fill() -> None:
        for number in range(50):
            await stage.send_numbers(number)
            stored.append(number)

    with pytest.raises(SendRejected):
        await fill()
    assert len(stored) >= 3
    await stage.consume(recorder)
    await recorder.see(*stored)
    await asyncio.to_thread(rabbitmq.control, "clear_policy", stage.topic.name)
