"""A Redis that could lose what it confirmed is refused, or accepted by name."""

from collections.abc import Mapping

import pytest

from brokers import Redis
from events_core.conformance.events import Noted
from events_core.errors import ConfigurationError, UnsafeBroker
from events_core.ports import Topic
from events_redis import RedisEventBus, RedisSettings
from tests.adapters.redis.strangers import ask
from tests.broker_fixtures import MakeRedis

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]

UNSAFE: list[tuple[Mapping[str, str], str]] = [
    ({"appendonly": "no"}, "appendonly"),
    ({"appendfsync": "everysec"}, "appendfsync"),
    ({"appendfsync": "no"}, "appendfsync"),
    ({"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy"),
    ({"maxmemory-policy": "volatile-ttl"}, "maxmemory-policy"),
]


@pytest.mark.parametrize(("settings", "name"), UNSAFE, ids=str)
async def test_each_setting_is_refused_by_its_name_and_accepted_by_it(
    make_redis: MakeRedis, settings: Mapping[str, str], name: str
) -> None:
    broker = make_redis(settings=settings)
    bus = RedisEventBus(broker.url, source="tests")
    with pytest.raises(UnsafeBroker, match=name) as refusal:
        await bus.startup()
    assert "accept" in str(refusal.value)
    accepting = RedisEventBus(broker.url, source="tests", settings=RedisSettings(accept=frozenset({name})))
    async with accepting:
        assert await accepting.send(Topic("users"), Noted(1), id="1") == "1"


async def test_accepting_one_accepts_no_other(make_redis: MakeRedis) -> None:
    broker = make_redis(settings={"appendfsync": "everysec", "maxmemory-policy": "allkeys-lfu"})
    bus = RedisEventBus(f"{broker.url}?accept=appendfsync", source="tests")
    with pytest.raises(UnsafeBroker, match="maxmemory-policy") as refusal:
        await bus.startup()
    assert "appendfsync" not in str(refusal.value)


async def test_all_that_is_unsafe_is_named_at_once(make_redis: MakeRedis) -> None:
    broker = make_redis(settings={"appendonly": "no", "maxmemory-policy": "allkeys-lfu"})
    with pytest.raises(UnsafeBroker) as refusal:
        await RedisEventBus(broker.url, source="tests").startup()
    assert "appendonly" in str(refusal.value)
    assert "maxmemory-policy" in str(refusal.value)


@pytest.mark.parametrize("hidden", ["config", "CONFIG and INFO"])
async def test_a_redis_that_does_not_show_its_settings_is_accepted_by_the_same_names(
    make_redis: MakeRedis, hidden: str
) -> None:
    broker = make_redis()
    rules = ["+@all", "-config", *(["-info"] if "INFO" in hidden else [])]
    await ask(broker.url, "ACL", "SETUSER", "ada", "on", ">pw", "~*", "&*", *rules)
    url = broker.url.replace("redis://", "redis://ada:pw@")
    with pytest.raises(UnsafeBroker, match=r"(?i)config") as refusal:
        await RedisEventBus(url, source="tests").startup()
    assert "accept" in str(refusal.value)
    names = "appendonly,appendfsync,maxmemory-policy"
    async with RedisEventBus(f"{url}?accept={names}", source="tests") as bus:
        assert (await bus.health()).ready


def test_a_name_that_is_no_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="appendfsync"):
        RedisSettings(accept=frozenset({"colour"}))


async def test_a_safe_redis_is_accepted(redis_broker: Redis) -> None:
    async with RedisEventBus(redis_broker.url, source="tests") as bus:
        assert (await bus.health()).ready
