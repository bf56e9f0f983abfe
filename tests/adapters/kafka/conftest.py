from collections.abc import AsyncGenerator
from typing import Protocol

import pytest

from brokers import Kafka
from events_core.conformance.stage import Stage
from events_core.ports import Transport
from events_kafka import KafkaTransport

QUICK = "session_timeout=2&heartbeat_interval=0.3&drain=2&partitions=2"


class Connect(Protocol):
    """A new process; with more of the URL's query."""

    def __call__(self, query: str = "") -> Transport: ...


@pytest.fixture
def connect(kafka: Kafka) -> Connect:
    """To the shared node."""

    def connect(query: str = "") -> Transport:
        return KafkaTransport(f"{kafka.url}?{QUICK}{query}")

    return connect


@pytest.fixture
async def stage(connect: Connect, request: pytest.FixtureRequest) -> AsyncGenerator[Stage]:
    """A topic of the test's own on the shared broker, and processes around it."""
    stage = Stage(connect, test=request.function.__name__, patience=20.0, delays=(0.2,))
    await stage.open()
    yield stage
    await stage.close()
