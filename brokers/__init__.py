"""Real brokers as objects: for tests, the demo and developers."""

from brokers.broker import Broker, BrokerFailed, BrokerUnavailable
from brokers.kafka import Kafka
from brokers.kafka_cluster import KafkaCluster
from brokers.opening import new_broker, open_broker
from brokers.postgresql import PostgreSQL
from brokers.proxy import FaultProxy
from brokers.rabbitmq import RabbitMQ
from brokers.redis import Redis

__all__ = [
    "Broker",
    "BrokerFailed",
    "BrokerUnavailable",
    "FaultProxy",
    "Kafka",
    "KafkaCluster",
    "PostgreSQL",
    "RabbitMQ",
    "Redis",
    "new_broker",
    "open_broker",
]
