"""How tests get real brokers: one that all share, or one of their own that they may hurt."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from typing import Protocol

import pytest

from brokers import BrokerUnavailable, RabbitMQ
from brokers.opening import docker_image
from brokers.rabbitmq import IMAGE, NO_SETTINGS


class MakeRabbitMQ(Protocol):
    """Start a RabbitMQ with these options (see `brokers.RabbitMQ`); it is stopped when the test is over."""

    def __call__(
        self, *, tls: bool = False, quorum_queues: bool = True, settings: Mapping[str, str] = NO_SETTINGS
    ) -> RabbitMQ: ...


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitMQ]:
    """One RabbitMQ for the whole run; a test that kills, freezes or alarms one takes `fresh_rabbitmq`."""
    broker = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"), image=docker_image(IMAGE))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


@pytest.fixture
def make_rabbitmq(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[MakeRabbitMQ]:
    """A RabbitMQ with options of the test's choice."""

    def make(*, tls: bool = False, quorum_queues: bool = True, settings: Mapping[str, str] = NO_SETTINGS) -> RabbitMQ:
        broker = RabbitMQ(
            tmp_path_factory.mktemp("rabbitmq"),
            tls=tls,
            quorum_queues=quorum_queues,
            settings=settings,
            image=docker_image(IMAGE) if quorum_queues else None,
        )
        # Nobody has to install an old RabbitMQ beside a Docker engine.
        return started(broker, running, required=is_required(request) and quorum_queues)

    with ExitStack() as running:
        yield make


@pytest.fixture
def fresh_rabbitmq(make_rabbitmq: MakeRabbitMQ) -> RabbitMQ:
    """A RabbitMQ of the test's own, to be hurt."""
    return make_rabbitmq()


def started(broker: RabbitMQ, running: ExitStack, *, required: bool) -> RabbitMQ:
    """The broker, started; the test is skipped where it cannot be had, and fails there when brokers are required."""
    try:
        return running.enter_context(broker)
    except BrokerUnavailable as error:
        if required:
            raise
        pytest.skip(str(error))


def is_required(request: pytest.FixtureRequest) -> bool:
    """Whether a run without this broker fails."""
    return bool(request.config.getoption("--require-brokers"))
