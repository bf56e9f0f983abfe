from collections.abc import AsyncGenerator

import pytest

from brokers import FaultProxy, Redis
from events_core.conformance.stage import Stage
from events_redis import RedisTransport


@pytest.fixture
async def proxy(redis_broker: Redis) -> AsyncGenerator[FaultProxy]:
    """What stands between a test's own connections and the shared broker."""
    async with FaultProxy("127.0.0.1", redis_broker.port) as proxy:
        yield proxy


@pytest.fixture
async def stage(redis_broker: Redis, request: pytest.FixtureRequest) -> AsyncGenerator[Stage]:
    """A topic of the test's own on the shared broker, and processes around it."""
    name = request.function.__name__
    stage = Stage(lambda: RedisTransport(redis_broker.url), test=name, patience=10.0, delays=(0.2,))
    await stage.open()
    yield stage
    await stage.close()
