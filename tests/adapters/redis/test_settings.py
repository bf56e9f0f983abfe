"""The URL, and what stands beside it."""

import pytest

from events_core.errors import ConfigurationError
from events_redis import RedisPubSubTransport, RedisTransport
from tests.adapters.showing import shown

SECRET = "s3cret-Pa55"


@pytest.mark.parametrize(
    "url",
    [
        f"http://guest:{SECRET}@host/",
        f"redis://guest:{SECRET}@/",
        f"redis://guest:{SECRET}@host:port/",
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


def test_a_delivery_is_held_without_a_limit_of_time() -> None:
    assert RedisTransport("redis://localhost/").capabilities.hold_limit is None
