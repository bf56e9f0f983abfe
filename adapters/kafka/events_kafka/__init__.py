"""Integration events over Kafka: `pip install "events-core[kafka]"`."""

from events_kafka.bus import KafkaEventBus
from events_kafka.settings import KafkaSettings
from events_kafka.transport import KafkaTransport

__all__ = ["KafkaEventBus", "KafkaSettings", "KafkaTransport", "from_url"]


from_url = KafkaTransport
"""For `kafka://`."""
