"""What AMQP has no room for is refused at once, with what to change."""

import asyncio

import pytest

from brokers import RabbitMQ
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Recorder
from events_core.errors import ConfigurationError, SendRejected
from events_core.integration import Registration
from events_core.ports import Topic
from events_rabbitmq import RabbitMQEventBus, RabbitMQSettings, RabbitMQTransport
from tests.adapters.rabbitmq.strangers import on_channel

LONGEST = 127
"""Characters in the name of an exchange, a namespace included."""
TOO_LONG = ["", f"{'t' * 140}"], ["", f"{'t' * 128}"], ["n" * 27, "t" * 100]
AT_ONCE = 8.0

broker = pytest.mark.broker("rabbitmq")


def registration(topic: str) -> Registration:
    return Registration(Recorder("first", patience=AT_ONCE), Topic(topic))


@broker
@pytest.mark.anyio
@pytest.mark.parametrize(("namespace", "topic"), TOO_LONG, ids=["140", "128", "128 with its namespace"])
async def test_a_registration_on_a_topic_with_too_long_a_name_is_refused_at_startup(
    rabbitmq: RabbitMQ, namespace: str, topic: str
) -> None:
    settings = RabbitMQSettings(namespace=namespace)
    bus = RabbitMQEventBus(rabbitmq.url, source="tests", settings=settings, registrations=[registration(topic)])
    async with asyncio.timeout(AT_ONCE):
        with pytest.raises(ConfigurationError, match="too long"):
            await bus.startup()


@broker
@pytest.mark.anyio
async def test_a_broadcast_registration_on_a_topic_with_too_long_a_name_is_refused(rabbitmq: RabbitMQ) -> None:
    async with RabbitMQEventBus(rabbitmq.url, source="tests") as bus:
        listening = Registration(Recorder("screen", patience=AT_ONCE), Topic("t" * 140), broadcast=True)
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(ConfigurationError, match="too long"):
                await bus.register(listening)


@broker
@pytest.mark.anyio
@pytest.mark.parametrize(("namespace", "topic"), TOO_LONG, ids=["140", "128", "128 with its namespace"])
async def test_a_send_to_a_topic_with_too_long_a_name_is_rejected_at_once(
    rabbitmq: RabbitMQ, namespace: str, topic: str
) -> None:
    settings = RabbitMQSettings(namespace=namespace)
    async with RabbitMQEventBus(rabbitmq.url, source="tests", settings=settings) as bus:
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(SendRejected, match="too long"):
                await bus.send(Topic(topic), Noted(1))
        assert (await bus.health()).ready


@broker
@pytest.mark.anyio
async def test_the_longest_name_of_a_topic_is_sent_to(rabbitmq: RabbitMQ) -> None:
    topic = Topic("t" * LONGEST)
    async with RabbitMQEventBus(rabbitmq.url, source="tests") as bus:
        assert await bus.send(topic, Noted(1), id="1") == "1"
    await on_channel(rabbitmq.url, lambda channel: channel.exchange_delete(topic.name))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("heartbeat", "70000"),
        ("heartbeat", "65535"),
        ("timeout", "nan"),
        ("consumer_timeout", "nan"),
        ("timeout", "inf"),
        ("timeout", "-1"),
    ],
)
def test_a_number_that_cannot_be_kept_is_refused_in_the_url(setting: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        RabbitMQTransport(f"amqp://localhost/?{setting}={value}")


def test_a_number_that_cannot_be_kept_is_refused_beside_the_url() -> None:
    with pytest.raises(ConfigurationError, match="heartbeat"):
        RabbitMQSettings(heartbeat=70_000)
    with pytest.raises(ConfigurationError, match="timeout"):
        RabbitMQSettings(timeout=float("nan"))


def test_the_longest_heartbeat_is_taken() -> None:
    assert RabbitMQSettings(heartbeat=65_534).heartbeat == 65_534
