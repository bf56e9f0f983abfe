"""Real brokers as objects: for tests, the demo and developers."""

from brokers.broker import Broker, BrokerFailed, BrokerUnavailable
from brokers.opening import new_broker, open_broker
from brokers.proxy import FaultProxy
from brokers.rabbitmq import RabbitMQ

__all__ = ["Broker", "BrokerFailed", "BrokerUnavailable", "FaultProxy", "RabbitMQ", "new_broker", "open_broker"]
