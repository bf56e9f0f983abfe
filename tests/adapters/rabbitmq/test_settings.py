"""The URL, and what stands beside it."""

import ssl

import pytest

from events_core.errors import ConfigurationError
from events_rabbitmq import RabbitMQSettings, RabbitMQTransport
from events_rabbitmq.settings import parse
from tests.adapters.showing import shown

SECRET = "s3cret-Pa55"


@pytest.mark.parametrize(
    "url",
    [
        f"http://guest:{SECRET}@host/",
        f"amqp://guest:{SECRET}@/",
        f"amqp://guest:{SECRET}@host:port/",
        f"guest:{SECRET}",
    ],
)
def test_what_is_no_url_of_a_rabbitmq_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="amqp://") as caught:
        RabbitMQTransport(url)
    assert SECRET not in shown(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_settings_show_no_certificates() -> None:
    assert "ssl" not in repr(RabbitMQSettings(ssl_context=ssl.create_default_context()))


def test_what_the_client_library_reads_is_left_to_it() -> None:
    address, _ = parse("amqps://localhost/?cafile=%2Fetc%2Fssl%2Frabbit.pem", RabbitMQSettings())
    assert address.query["cafile"] == "/etc/ssl/rabbit.pem"


def test_what_the_url_says_wins() -> None:
    url = "amqp://localhost/?heartbeat=5&namespace=staging&consumer_timeout=60&timeout=2.5"
    address, settings = parse(url, RabbitMQSettings(heartbeat=7, namespace="other", timeout=1))
    assert settings == RabbitMQSettings(heartbeat=5, namespace="staging", consumer_timeout=60, timeout=2.5)
    # The client library knows a heartbeat and a timeout too, and means another thing by the second.
    assert dict(address.query) == {"heartbeat": "5"}


def test_what_the_broker_lets_one_hold_is_a_capability() -> None:
    assert RabbitMQTransport("amqp://localhost/?consumer_timeout=60").capabilities.hold_limit == 60
    assert RabbitMQTransport("amqp://localhost/").capabilities.hold_limit == 1800
