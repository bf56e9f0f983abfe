"""What a process keeps of its feeds, and what it leaves on the broker."""

import asyncio

import pytest

from brokers import RabbitMQ
from events_core.conformance.events import Noted
from events_core.conformance.stage import Stage
from events_core.ports import Alert, AlertKind, Revoked, Settlement, Source, Subscription, Verdict, Wire
from events_rabbitmq import RabbitMQTransport
from events_rabbitmq.broadcast import BroadcastFeed
from tests.adapters.rabbitmq.strangers import on_channel

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

WIRE = Wire({"type": "t"}, b"{}")


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


async def channels_of(transport: RabbitMQTransport) -> int:
    """How many channels are open to consume on."""
    link = await transport._consuming.link()
    return sum(channel is not None for number, channel in link._client.channels.items() if number)


async def test_a_broadcast_feed_remembers_nothing_of_what_it_handed_out(stage: Stage, rabbitmq: RabbitMQ) -> None:
    transport = RabbitMQTransport(rabbitmq.url)
    await transport.open(ignore)
    subscription = Subscription(consumer="screens", topic=stage.topic, source=Source.BROADCAST, window=500)
    feed = await transport.subscribe(subscription)
    await transport.publish(stage.topic, [WIRE] * 300)
    got = 0
    async with asyncio.timeout(stage.patience):
        while got < 300:
            deliveries = await feed.receive(100)
            await feed.settle([Settlement(each, Verdict.ACCEPT) for each in deliveries])
            got += len(deliveries)
    assert isinstance(feed, BroadcastFeed)
    assert feed._inbox.is_settled
    await feed.stop()
    await transport.close()


async def test_a_deleted_queue_leaves_no_channel_open(stage: Stage, rabbitmq: RabbitMQ) -> None:
    recorder = stage.recorder()
    process = await stage.consume(recorder)
    await stage.fence(recorder)
    assert isinstance(process.transport, RabbitMQTransport)
    before = await channels_of(process.transport)
    await on_channel(rabbitmq.url, lambda channel: channel.queue_delete(f"{recorder.name}.{stage.topic.name}"))
    await stage.alert(process, AlertKind.RECREATED)
    await stage.fence(recorder)

    async def as_before() -> bool:
        assert isinstance(process.transport, RabbitMQTransport)
        return await channels_of(process.transport) == before

    await stage.until(as_before, "the channel of the lost feed closed", patience=8.0)


async def test_a_stopped_feed_leaves_no_channel_open(stage: Stage, rabbitmq: RabbitMQ) -> None:
    transport = RabbitMQTransport(rabbitmq.url)
    await transport.open(ignore)
    before = await channels_of(transport)
    for source in (Source.BROADCAST, Source.EVENTS, Source.DEAD):
        wanted = Subscription(consumer="first", topic=stage.topic, types=frozenset({Noted.type}), source=source)
        feed = await transport.subscribe(wanted)
        await feed.stop()

    async def as_before() -> bool:
        return await channels_of(transport) == before

    await stage.until(as_before, "every channel closed", patience=8.0)
    await transport.remove(Subscription(consumer="first", topic=stage.topic), force=True)
    await transport.close()
