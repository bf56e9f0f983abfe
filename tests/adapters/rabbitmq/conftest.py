from collections.abc import AsyncGenerator

import pytest

from brokers import RabbitMQ
from events_core.conformance.stage import Stage
from events_rabbitmq import RabbitMQTransport


@pytest.fixture
async def stage(rabbitmq: RabbitMQ, request: pytest.FixtureRequest) -> AsyncGenerator[Stage]:
    """A topic of the test's own on the shared broker, and processes around it."""
    name = request.function.__name__
    stage = Stage(lambda: RabbitMQTransport(rabbitmq.url), test=name, patience=20.0, delays=(0.2,))
    await stage.open()
    yield stage
    await stage.close()
