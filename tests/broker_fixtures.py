"""How tests get real brokers: one that all share, or one of their own that they may hurt."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from typing import Protocol, TypeVar

import pytest

from brokers import Broker, BrokerUnavailable, Kafka, PostgreSQL, RabbitMQ, Redis
from brokers import kafka as kafka_node
from brokers import postgresql as postgresql_server
from brokers import rabbitmq as rabbitmq_node
from brokers import redis as redis_server
from brokers.node import NO_SETTINGS
from brokers.opening import docker_image
from tests.broker_lines import UNAVAILABLE

AnyBroker = TypeVar("AnyBroker", bound=Broker)


class MakeRabbitMQ(Protocol):
    """Start a RabbitMQ with these options (see `brokers.RabbitMQ`); it is stopped when the test is over."""

    def __call__(
        self, *, tls: bool = False, quorum_queues: bool = True, settings: Mapping[str, str] = NO_SETTINGS
    ) -> RabbitMQ: ...


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitMQ]:
    """One RabbitMQ for the whole run; a test that kills, freezes or alarms one takes `fresh_rabbitmq`."""
    broker = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"), image=docker_image(rabbitmq_node.IMAGE))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


@pytest.fixture
def make_rabbitmq(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeRabbitMQ]:
    """A RabbitMQ with options of the test's choice."""

    def make(*, tls: bool = False, quorum_queues: bool = True, settings: Mapping[str, str] = NO_SETTINGS) -> RabbitMQ:
        image = docker_image(rabbitmq_node.IMAGE)
        if image and not quorum_queues and not rabbitmq_node.installed():
            pytest.skip("nobody has to install an old RabbitMQ beside a Docker engine")
        broker = RabbitMQ(
            tmp_path_factory.mktemp("rabbitmq"),
            tls=tls,
            quorum_queues=quorum_queues,
            settings=settings,
            image=image if quorum_queues else None,
        )
        return started(broker, running, required=is_required(request))

    with ExitStack() as running:
        yield make


@pytest.fixture
def fresh_rabbitmq(make_rabbitmq: MakeRabbitMQ) -> RabbitMQ:
    """A RabbitMQ of the test's own, to be hurt."""
    return make_rabbitmq()


class MakeRedis(Protocol):
    """Start a Redis with these options (see `brokers.Redis`); it is stopped when the test is over."""

    def __call__(
        self, *, tls: bool = False, password: str | None = None, settings: Mapping[str, str] = NO_SETTINGS
    ) -> Redis: ...


@pytest.fixture(scope="session")
def redis_broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Redis]:
    """One Redis for the whole run; a test that kills, freezes, fills or empties one takes `fresh_redis`."""
    broker = Redis(tmp_path_factory.mktemp("redis"), image=docker_image(redis_server.IMAGE))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


@pytest.fixture
def make_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeRedis]:
    """A Redis with options of the test's choice."""

    def make(*, tls: bool = False, password: str | None = None, settings: Mapping[str, str] = NO_SETTINGS) -> Redis:
        image = docker_image(redis_server.IMAGE)
        broker = Redis(tmp_path_factory.mktemp("redis"), tls=tls, password=password, settings=settings, image=image)
        return started(broker, running, required=is_required(request))

    with ExitStack() as running:
        yield make


@pytest.fixture
def fresh_redis(make_redis: MakeRedis) -> Redis:
    """A Redis of the test's own, to be hurt."""
    return make_redis()


class MakeKafka(Protocol):
    """Start a Kafka node with these options (see `brokers.Kafka`); it is stopped when the test is over."""

    def __call__(self, *, secure: bool = False, settings: Mapping[str, str] = NO_SETTINGS) -> Kafka: ...


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Kafka]:
    """One Kafka node for the whole run; a test that leaves one hurt takes `fresh_kafka`."""
    broker = Kafka(tmp_path_factory.mktemp("kafka"), image=docker_image(kafka_node.IMAGE))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


@pytest.fixture
def make_kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeKafka]:
    """A Kafka node with options of the test's choice."""

    def make(*, secure: bool = False, settings: Mapping[str, str] = NO_SETTINGS) -> Kafka:
        image = docker_image(kafka_node.IMAGE)
        broker = Kafka(tmp_path_factory.mktemp("kafka"), secure=secure, settings=settings, image=image)
        return started(broker, running, required=is_required(request))

    with ExitStack() as running:
        yield make


@pytest.fixture
def fresh_kafka(make_kafka: MakeKafka) -> Kafka:
    """A Kafka node of the test's own, to be hurt."""
    return make_kafka()


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[PostgreSQL]:
    """One PostgreSQL for the whole run; each test makes a database of its own in it."""
    server = PostgreSQL(tmp_path_factory.mktemp("postgresql"), image=docker_image(postgresql_server.IMAGE))
    with ExitStack() as running:
        yield started(server, running, required=is_required(request))


@pytest.fixture
def fresh_postgresql(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[PostgreSQL]:
    """A PostgreSQL of the test's own, to be hurt."""
    server = PostgreSQL(tmp_path_factory.mktemp("postgresql"), image=docker_image(postgresql_server.IMAGE))
    with ExitStack() as running:
        yield started(server, running, required=is_required(request))


def started(broker: AnyBroker, running: ExitStack, *, required: bool) -> AnyBroker:
    """The broker, started; the test is skipped where it cannot be had, and fails there when brokers are required."""
    try:
        running.enter_context(broker)
    except BrokerUnavailable as error:
        if required:
            raise
        pytest.skip(f"{UNAVAILABLE}{error}")
    return broker


def is_required(request: pytest.FixtureRequest) -> bool:
    """Whether a run without this broker fails."""
    return bool(request.config.getoption("--require-brokers"))
