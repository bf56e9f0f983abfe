"""The URL, and what stands beside it."""

import ssl

import pytest

from events_core.errors import ConfigurationError
from events_rabbitmq import RabbitMQSettings, RabbitMQTransport
from events_rabbitmq.amqp.settings import parse
from tests.adapters.rabbitmq.strangers import shown

SECRET = "s3cret-Pa55"


@pytest.mark.parametrize(
    "url",
    [
        f"http://guest:{SECRET}@host/",
        f"amqp://guest:{SECRET}@/",
        f"amqp://guest:{SECRET}@host:port/",
        f"amqp://guest:{SECRET}@host/?heartbeat=often",
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


@pytest.mark.parametrize("setting", ["heartbeat", "consumer_timeout", "timeout"])
def test_a_setting_that_makes_no_sense_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        RabbitMQTransport(f"amqp://localhost/?{setting}=0")


@pytest.mark.parametrize("namespace", ["two words", "a/b", "n" * 65])
def test_a_namespace_that_makes_no_name_is_refused(namespace: str) -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        RabbitMQSettings(namespace=namespace)


def test_what_the_url_says_wins() -> None:
    url = "amqp://localhost/?heartbeat=5&namespace=staging&consumer_timeout=60&timeout=2.5"
    address, settings = parse(url, RabbitMQSettings(heartbeat=7, namespace="other", timeout=1))
    assert settings == RabbitMQSettings(heartbeat=5, namespace="staging", consumer_timeout=60, timeout=2.5)
    # The client library knows a heartbeat and a timeout too, and means another thing by the second.
    assert dict(address.query) == {"heartbeat": "5"}


def test_what_the_broker_lets_one_hold_is_a_capability() -> None:
    assert RabbitMQTransport("amqp://localhost/?consumer_timeout=60").capabilities.hold_limit == 60
    assert RabbitMQTransport("amqp://localhost/").capabilities.hold_limit == 1800
