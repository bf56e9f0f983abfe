"""The URL, and what stands beside it."""

import pytest

from events_core.errors import ConfigurationError
from events_redis import RedisPubSubTransport, RedisSettings, RedisTransport
from tests.adapters.redis.strangers import shown

SECRET = "s3cret-Pa55"


@pytest.mark.parametrize(
    "url",
    [
        f"http://guest:{SECRET}@host/",
        f"redis://guest:{SECRET}@/",
        f"redis://guest:{SECRET}@host:port/",
        f"redis://guest:{SECRET}@host/?lease=long",
        f"redis://guest:{SECRET}@host/users",
        f"guest:{SECRET}",
    ],
)
@pytest.mark.parametrize("transport", [RedisTransport, RedisPubSubTransport])
def test_what_is_no_url_of_a_redis_is_refused_without_being_shown(
    url: str, transport: type[RedisTransport | RedisPubSubTransport]
) -> None:
    with pytest.raises(ConfigurationError, match="redis://") as caught:
        transport(url)
    assert SECRET not in shown(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("setting", ["lease", "timeout"])
def test_a_setting_that_makes_no_sense_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        RedisTransport(f"redis://localhost/?{setting}=0")


@pytest.mark.parametrize("namespace", ["two words", "a/b", "n" * 65])
def test_a_namespace_that_makes_no_name_is_refused(namespace: str) -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        RedisSettings(namespace=namespace)


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="leese"):
        RedisTransport("redis://localhost/?leese=5")


def test_a_delivery_is_held_without_a_limit_of_time() -> None:
    assert RedisTransport("redis://localhost/").capabilities.hold_limit is None
