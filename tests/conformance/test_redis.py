from collections.abc import AsyncGenerator

import pytest

from brokers import FaultProxy, Redis
from events_core.conformance import Connect, Faults, TransportConformance, Unsafe
from events_redis import RedisTransport
from tests.broker_fixtures import MakeRedis
from tests.conformance.redis import RedisFaults, forgetful


@pytest.mark.broker("redis")
class TestRedisTransport(TransportConformance):
    handover = 3.0
    lease = 4.0

    @pytest.fixture
    async def proxy(self, redis_broker: Redis) -> AsyncGenerator[FaultProxy]:
        async with FaultProxy("127.0.0.1", redis_broker.port) as proxy:
            yield proxy

    @pytest.fixture
    def connect(self, redis_broker: Redis, proxy: FaultProxy) -> Connect:
        return lambda: RedisTransport(f"{proxy.url(redis_broker.url)}?lease={self.lease}")

    @pytest.fixture
    def faults(self, redis_broker: Redis, proxy: FaultProxy) -> Faults:
        return RedisFaults(redis_broker, proxy)

    @pytest.fixture
    def unsafe(self, make_redis: MakeRedis) -> Unsafe | None:
        return forgetful(make_redis(settings={"appendonly": "no"}), setting="appendonly")
