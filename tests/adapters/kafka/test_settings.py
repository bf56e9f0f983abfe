"""The URL, and what stands beside it."""

import ssl

import pytest

from events_core.errors import ConfigurationError
from events_kafka import KafkaSettings, KafkaTransport
from events_kafka.settings import parse
from tests.adapters.showing import shown

SECRET = "s3cret-Pa55"


@pytest.mark.parametrize(
    "url",
    [
        f"http://ada:{SECRET}@host:9092",
        f"kafka://ada:{SECRET}@",
        f"kafka://ada:{SECRET}@host:port",
        f"ada:{SECRET}@host",
        "host:9092,,host2",
        "",
    ],
)
def test_what_is_no_address_of_a_kafka_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="kafka://") as caught:
        KafkaTransport(url)
    assert SECRET not in shown(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_what_is_shown_of_settings_has_neither_password_nor_certificates() -> None:
    settings = KafkaSettings(ssl_context=ssl.create_default_context(), username="ada", password=SECRET)
    assert "ssl" not in repr(settings)
    assert SECRET not in repr(settings) + repr(KafkaTransport(f"kafka://ada:{SECRET}@host"))


def test_a_heartbeat_slower_than_the_session_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="session_timeout"):
        KafkaSettings(heartbeat_interval=40.0)


def test_a_user_without_a_password_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="password"):
        KafkaSettings(username="ada")


def test_what_the_url_says_wins() -> None:
    url = (
        "kafka://one:9093,two?namespace=staging&partitions=3&retention=60&session_timeout=5&accept=min.insync.replicas"
    )
    address, settings = parse(url, KafkaSettings(namespace="other", partitions=7, timeout=1))
    assert address.servers == (("one", 9093), ("two", 9092))
    assert settings == KafkaSettings(
        namespace="staging",
        partitions=3,
        retention=60,
        session_timeout=5,
        timeout=1,
        accept=frozenset({"min.insync.replicas"}),
    )


def test_servers_without_a_scheme_are_an_address_too() -> None:
    address, settings = parse("one,[::1]:9093", KafkaSettings())
    assert address.servers == (("one", 9092), ("::1", 9093))
    assert settings == KafkaSettings()


def test_a_password_of_any_characters_is_understood() -> None:
    _, settings = parse("kafka://ada:p%40ss%2Fw%3Ard%25%3F%23%C3%BC@host?mechanism=PLAIN", KafkaSettings())
    assert (settings.username, settings.password, settings.mechanism) == ("ada", "p@ss/w:rd%?#ü", "PLAIN")
