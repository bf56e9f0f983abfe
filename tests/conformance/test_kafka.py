from collections.abc import AsyncGenerator

import pytest

from brokers import FaultProxy, Kafka
from events_core.conformance import Connect, Faults, TransportConformance, Unsafe
from events_kafka import KafkaTransport
from tests.conformance.kafka import KafkaFaults, compacted_topic


@pytest.mark.broker("kafka")
class TestKafkaTransport(TransportConformance):
    patience = 20.0
    handover = 5.0
    lease = 2.0

    @pytest.fixture
    async def proxy(self, kafka: Kafka) -> AsyncGenerator[FaultProxy]:
        async with FaultProxy(kafka.host, kafka.proxied_port, at=kafka.proxy_port) as proxy:
            yield proxy

    @pytest.fixture
    def connect(self, kafka: Kafka, proxy: FaultProxy) -> Connect:
        return lambda: KafkaTransport(
            f"{kafka.proxied_url}?session_timeout=2&heartbeat_interval=0.3&drain=1&timeout=5&partitions=2"
        )

    @pytest.fixture
    def faults(self, kafka: Kafka, proxy: FaultProxy) -> Faults:
        return KafkaFaults(kafka, proxy)

    @pytest.fixture
    def unsafe(self, kafka: Kafka, connect: Connect) -> Unsafe | None:
        return compacted_topic(kafka, connect)
