"""Integration events over RabbitMQ: `pip install "events-core[rabbitmq]"`."""

from events_rabbitmq.bus import RabbitMQEventBus
from events_rabbitmq.settings import RabbitMQSettings
from events_rabbitmq.transport import RabbitMQTransport

__all__ = ["RabbitMQEventBus", "RabbitMQSettings", "RabbitMQTransport", "from_url"]


from_url = RabbitMQTransport
"""For `amqp://` and `amqps://`."""
