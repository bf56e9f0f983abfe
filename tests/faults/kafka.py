"""What can be done to a Kafka node beside starting, killing and freezing it."""

from typing import Final, cast

from brokers import Broker, FaultProxy, Kafka
from tests.adapters.kafka.strangers import delete_topic, make_topic

__all__ = ["LEASE", "delete_subscription", "delete_topic_of", "hurried", "occupy", "proxy"]

LEASE: Final = 2
"""Seconds."""


def hurried(url: str) -> str:
    """The URL with a short session, and fewer partitions than a topic has for life."""
    return f"{url}?session_timeout={LEASE}&heartbeat_interval=0.3&drain=1&partitions=4"


def proxy(broker: Broker) -> FaultProxy:
    """A proxy where the node tells its clients to be."""
    node = cast("Kafka", broker)
    return FaultProxy(node.host, node.proxied_port, at=node.proxy_port)


async def delete_subscription(broker: Broker, consumer: str, topic: str) -> None:
    """Delete its topic: a group with members cannot be deleted."""
    await delete_topic(broker.url, topic)


async def delete_topic_of(broker: Broker, topic: str) -> None:
    """Delete the topic, as an operator would."""
    await delete_topic(broker.url, topic)


async def occupy(broker: Broker, consumer: str, topic: str) -> None:
    """Have a topic that Kafka confuses with the one for dead letters: in its metrics a dot is an underscore."""
    await make_topic(broker.url, f"{consumer}_{topic}_dead")
