from collections.abc import Generator
from contextlib import ExitStack

import pytest

from brokers import Kafka, RabbitMQ, Redis
from tests.adapters import access as ways
from tests.adapters.access import Access
from tests.broker_fixtures import is_required


@pytest.fixture(scope="session")
def secured_kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Kafka, Access]]:
    """One node with TLS, passwords and permissions, for the whole run; no test hurts it."""
    with ExitStack() as running:
        yield ways.kafka(tmp_path_factory.mktemp("secured"), running, required=is_required(request))


@pytest.fixture(scope="session")
def secured_rabbitmq(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[RabbitMQ, Access]]:
    """The same for RabbitMQ."""
    with ExitStack() as running:
        yield ways.rabbitmq(tmp_path_factory.mktemp("secured"), running, required=is_required(request))


@pytest.fixture(scope="session")
def secured_redis(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Redis, Access]]:
    """The same for Redis."""
    with ExitStack() as running:
        yield ways.redis(tmp_path_factory.mktemp("secured"), running, required=is_required(request))
