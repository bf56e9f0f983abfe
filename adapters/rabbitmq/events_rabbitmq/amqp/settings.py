"""How to reach a broker, and what is to be known of it."""

import math
import re
from dataclasses import dataclass, field, replace
from ssl import SSLContext
from typing import Final

from yarl import URL

from events_core.errors import ConfigurationError

__all__ = ["RabbitMQSettings", "parse"]

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_HEARTBEAT: Final = 65_534
_SCHEMES: Final = frozenset({"amqp", "amqps"})
_FORM: Final = "a RabbitMQ URL reads amqp://user:password@host:5672/vhost, or amqps://... for TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMQSettings:
    """Beside the URL. The numbers and the namespace can stand in its query as well, and win there.

    | setting | meaning | unit | default |
    |---|---|---|---|
    | `namespace` | stands before the name of every object on the broker | | none |
    | `heartbeat` | after three times as long without a sign of life a connection is given up | seconds | 10 |
    | `consumer_timeout` | the broker's setting of this name: how long it lets a delivery be held | seconds | 1800 |
    | `timeout` | within which the broker has to answer a step of a call | seconds | 10 |
    | `ssl_context` | for `amqps://`, where the system's certificates are not enough | | none |
    """

    namespace: str = ""
    heartbeat: int = 10
    consumer_timeout: float = 1800.0
    timeout: float = 10.0
    ssl_context: SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.namespace and not _NAMESPACE.fullmatch(self.namespace):
            raise ConfigurationError("a namespace is up to 64 of the characters A-Z a-z 0-9 _ . -")
        if not 1 <= self.heartbeat <= _LONGEST_HEARTBEAT:
            raise ConfigurationError(f"heartbeat is in whole seconds, from 1 to {_LONGEST_HEARTBEAT}")
        if not all(math.isfinite(each) and each > 0 for each in (self.consumer_timeout, self.timeout)):
            raise ConfigurationError("consumer_timeout and timeout are in seconds, finite and above 0")


def parse(url: str, settings: RabbitMQSettings) -> tuple[URL, RabbitMQSettings]:
    """The address as the client library wants it, and the settings with what the query says.

    Raises:
        ConfigurationError: it is no URL of a RabbitMQ. The message does not show it: it may hold a password.
    """
    try:
        address = URL(url)
        query = address.query
        settings = replace(
            settings,
            namespace=query.get("namespace", settings.namespace),
            heartbeat=int(query.get("heartbeat", settings.heartbeat)),
            consumer_timeout=float(query.get("consumer_timeout", settings.consumer_timeout)),
            timeout=float(query.get("timeout", settings.timeout)),
        )
    except ValueError:
        raise ConfigurationError(_FORM) from None
    if address.scheme not in _SCHEMES or not address.host:
        raise ConfigurationError(_FORM)
    address = address.without_query_params("namespace", "consumer_timeout", "timeout")
    return address.update_query(heartbeat=settings.heartbeat), settings
