from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from brokers import kafka, postgresql, rabbitmq, redis
from brokers.broker import Broker, BrokerUnavailable
from brokers.containers import engine_answers


def docker_image(image: str) -> str | None:
    """The image, where a Docker engine answers (and `BROKERS=local` is not set); else None."""
    return image if engine_answers() else None


# A new broker is one module and one row.
BROKERS: Final[Mapping[str, Callable[[Path], Broker]]] = MappingProxyType(
    {
        "kafka": lambda folder: kafka.Kafka(folder, image=docker_image(kafka.IMAGE)),
        "postgresql": lambda folder: postgresql.PostgreSQL(folder, image=docker_image(postgresql.IMAGE)),
        "rabbitmq": lambda folder: rabbitmq.RabbitMQ(folder, image=docker_image(rabbitmq.IMAGE)),
        "redis": lambda folder: redis.Redis(folder, image=docker_image(redis.IMAGE)),
    }
)


def new_broker(name: str, folder: Path) -> Broker:
    """The named broker, not yet started: in a container where a Docker engine answers, else local processes.

    Raises:
        BrokerUnavailable: No broker has this name.
    """
    if name not in BROKERS:
        raise BrokerUnavailable(f"no broker is called {name!r}; there are: {', '.join(sorted(BROKERS))}")
    return BROKERS[name](folder)


@contextmanager
def open_broker(name: str, folder: Path | None = None) -> Generator[Broker]:
    """The named broker, started; at the end it is stopped, and a folder that nobody gave is removed.

    Raises:
        BrokerUnavailable: It is not known or not installed; the message says what to do.
        BrokerFailed: It did not start.
    """
    with TemporaryDirectory(prefix=f"{name}-") as own, new_broker(name, folder or Path(own)) as broker:
        yield broker
