"""What every adapter says of the query of its URL, and of a namespace."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from events_core.errors import ConfigurationError
from events_core.ports import Transport
from events_kafka import KafkaSettings, KafkaTransport
from events_kafka.settings import parse
from events_rabbitmq import RabbitMQSettings, RabbitMQTransport
from events_redis import RedisPubSubTransport, RedisSettings, RedisTransport

SECRET = "s3cret-Pa55"


@dataclass(frozen=True, slots=True)
class Adapter:
    settings: Callable[..., object]
    connect: Callable[[str], Transport]
    address: str
    numbers: tuple[str, ...]


ADAPTERS = {
    "kafka": Adapter(
        KafkaSettings,
        KafkaTransport,
        f"kafka://ada:{SECRET}@localhost",
        ("partitions", "retention", "session_timeout", "heartbeat_interval", "timeout"),
    ),
    "rabbitmq": Adapter(
        RabbitMQSettings,
        RabbitMQTransport,
        f"amqp://ada:{SECRET}@localhost/",
        ("heartbeat", "consumer_timeout", "timeout"),
    ),
    "redis": Adapter(
        RedisSettings,
        RedisTransport,
        f"redis://ada:{SECRET}@localhost/0",
        ("lease", "timeout", "retention", "trim_every"),
    ),
    "redis+pubsub": Adapter(
        RedisSettings,
        RedisPubSubTransport,
        f"redis+pubsub://ada:{SECRET}@localhost/0",
        ("timeout",),
    ),
}
NUMBERS = [pytest.param(each, name, id=f"{kind}-{name}") for kind, each in ADAPTERS.items() for name in each.numbers]
anyone = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS.keys())


def refused(adapter: Adapter, query: str) -> str:
    """What is said of it; the password is in none of it."""
    with pytest.raises(ConfigurationError) as caught:
        adapter.connect(f"{adapter.address}?{query}")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("value", ["many", "", "0", "-1", "nan", "inf"])
@pytest.mark.parametrize(("adapter", "name"), NUMBERS)
def test_a_number_that_makes_no_sense_is_refused_by_its_name(adapter: Adapter, name: str, value: str) -> None:
    assert name in refused(adapter, f"{name}={value}")


@pytest.mark.parametrize("name", ["heartbeat", "partitions"])
def test_a_whole_number_has_no_fraction(name: str) -> None:
    adapter = next(each for each in ADAPTERS.values() if name in each.numbers)
    assert f"{name} takes a whole number" in refused(adapter, f"{name}=2.5")


def test_true_and_false_are_all_there_is_of_truth() -> None:
    assert "tls takes true or false" in refused(ADAPTERS["kafka"], "tls=perhaps")


@anyone
def test_a_setting_that_does_not_exist_is_refused_by_its_name(adapter: Adapter) -> None:
    assert "namspace" in refused(adapter, "namspace=staging")


@anyone
def test_of_what_is_wrong_no_value_is_shown(adapter: Adapter) -> None:
    assert "Pa55" not in refused(adapter, "timeout=Pa55") + refused(adapter, "passwort=Pa55")


@pytest.mark.parametrize("namespace", ["two words", "a/b", "n" * 65])
@anyone
def test_a_namespace_that_makes_no_name_is_refused(adapter: Adapter, namespace: str) -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        adapter.settings(namespace=namespace)


@pytest.mark.parametrize(
    ("written", "meant"), [("true", True), ("Yes", True), ("1", True), ("0", False), ("no", False)]
)
def test_truth_is_written_in_more_than_one_way(written: str, meant: bool) -> None:  # noqa: FBT001 a value of the table
    _, settings = parse(f"kafka://localhost?tls={written}", KafkaSettings(tls=not meant))
    assert settings.tls is meant
