"""Who is let in, where RabbitMQ has something of its own: contexts for TLS, and virtual hosts."""

import logging
import ssl
from urllib.parse import quote, urlsplit

import pytest
import trustme

from brokers import RabbitMQ
from events_core.errors import AccessRefused
from events_rabbitmq import RabbitMQEventBus, RabbitMQSettings, RabbitMQTransport
from tests.adapters.access import ODD, SECRET, Access, refused
from tests.adapters.showing import shown

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]


@pytest.fixture
def secured(secured_rabbitmq: tuple[RabbitMQ, Access]) -> RabbitMQ:
    return secured_rabbitmq[0]


def url_of(broker: RabbitMQ, user: str, password: str, path: str) -> str:
    host = urlsplit(broker.url).netloc.rpartition("@")[2]
    return f"amqp://{user}:{password}@{host}{path}"


async def test_a_context_may_say_whom_to_trust(secured: RabbitMQ) -> None:
    settings = RabbitMQSettings(ssl_context=ssl.create_default_context(cafile=str(secured.ca)))
    async with RabbitMQEventBus(secured.tls_url, source="tests", settings=settings) as bus:
        assert (await bus.health()).ready


async def test_a_broker_that_the_context_does_not_trust_is_not_spoken_to(secured: RabbitMQ) -> None:
    stranger = ssl.create_default_context(cadata=trustme.CA().cert_pem.bytes().decode())
    error = await refused(RabbitMQTransport(secured.tls_url, RabbitMQSettings(ssl_context=stranger)))
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)


async def test_a_port_that_does_not_speak_tls_is_named(secured: RabbitMQ) -> None:
    error = await refused(RabbitMQTransport(secured.url.replace("amqp:", "amqps:")))
    assert isinstance(error, AccessRefused)
    assert "TLS" in str(error)


async def test_virtual_hosts_of_any_characters_are_understood(secured: RabbitMQ) -> None:
    url = url_of(secured, "odd", quote(ODD, safe=""), "/team%2Fa")
    async with RabbitMQEventBus(url, source="tests") as bus:
        assert (await bus.health()).ready


async def test_an_unknown_virtual_host_is_refused(secured: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(RabbitMQTransport(url_of(secured, "ada", SECRET, "/nowhere")))
    assert isinstance(error, AccessRefused)
    assert "nowhere" in str(error)
    assert SECRET not in shown(error) + caplog.text
