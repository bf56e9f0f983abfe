"""The bus on Kafka."""

from typing import Unpack

from events_core import IntegrationEventBus
from events_core.integration import BusOptions
from events_kafka.settings import KafkaSettings
from events_kafka.transport import KafkaTransport

__all__ = ["KafkaEventBus"]


class KafkaEventBus(IntegrationEventBus):
    """`KafkaEventBus("host:9092,host2:9092", source="users-service", registrations=[...])`."""

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        source: str,
        settings: KafkaSettings | None = None,
        **options: Unpack[BusOptions],
    ) -> None:
        super().__init__(KafkaTransport(bootstrap_servers, settings), source=source, **options)
