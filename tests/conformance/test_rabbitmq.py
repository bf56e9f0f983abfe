from collections.abc import AsyncGenerator

import pytest

from brokers import FaultProxy, RabbitMQ
from events_core.conformance import Connect, Faults, TransportConformance, Unsafe
from events_rabbitmq import RabbitMQTransport
from tests.conformance.rabbitmq import RabbitMQFaults, classic_queue


@pytest.mark.broker("rabbitmq")
class TestRabbitMQTransport(TransportConformance):
    patience = 20.0
    handover = 3.0
    lease = 4.0

    @pytest.fixture
    async def proxy(self, rabbitmq: RabbitMQ) -> AsyncGenerator[FaultProxy]:
        async with FaultProxy("127.0.0.1", rabbitmq.port) as proxy:
            yield proxy

    @pytest.fixture
    def connect(self, rabbitmq: RabbitMQ, proxy: FaultProxy) -> Connect:
        # A connection without a sign of life for twice the heartbeat is given up by RabbitMQ.
        return lambda: RabbitMQTransport(f"{proxy.url(rabbitmq.url)}?heartbeat=2")

    @pytest.fixture
    def faults(self, rabbitmq: RabbitMQ, proxy: FaultProxy) -> Faults:
        return RabbitMQFaults(rabbitmq, proxy)

    @pytest.fixture
    def unsafe(self, rabbitmq: RabbitMQ) -> Unsafe | None:
        return classic_queue(rabbitmq)
