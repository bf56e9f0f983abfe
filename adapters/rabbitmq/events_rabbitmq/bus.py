"""The bus on RabbitMQ."""

from typing import Unpack

from events_core import IntegrationEventBus
from events_core.integration import BusOptions
from events_rabbitmq.settings import RabbitMQSettings
from events_rabbitmq.transport import RabbitMQTransport

__all__ = ["RabbitMQEventBus"]


class RabbitMQEventBus(IntegrationEventBus):
    """`RabbitMQEventBus("amqp://user:password@host/vhost", source="users-service", registrations=[...])`."""

    def __init__(
        self, url: str, *, source: str, settings: RabbitMQSettings | None = None, **options: Unpack[BusOptions]
    ) -> None:
        super().__init__(RabbitMQTransport(url, settings), source=source, **options)
