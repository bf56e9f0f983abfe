"""How to reach a broker, and what is to be known of it."""

from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Final

from yarl import URL

from events_core.errors import ConfigurationError
from events_core.ports import check_namespace, check_seconds, read_query

__all__ = ["RabbitMQSettings", "parse"]

_IN_QUERY: Final = ("namespace", "heartbeat", "consumer_timeout", "timeout")
_OF_THE_LIBRARY: Final = frozenset({"auth", "cadata", "cafile", "capath", "certfile", "keyfile", "no_verify_ssl"})
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

    What else may stand in a query is the client library's: `cafile`, `capath`, `cadata`, `certfile`, `keyfile`,
    `no_verify_ssl`, `auth`.
    """

    namespace: str = ""
    heartbeat: int = 10
    consumer_timeout: float = 1800.0
    timeout: float = 10.0
    ssl_context: SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        check_seconds(consumer_timeout=self.consumer_timeout, timeout=self.timeout)
        if not 1 <= self.heartbeat <= _LONGEST_HEARTBEAT:
            raise ConfigurationError(f"heartbeat is in whole seconds, from 1 to {_LONGEST_HEARTBEAT}")


def parse(url: str, settings: RabbitMQSettings) -> tuple[URL, RabbitMQSettings]:
    """The address as the client library wants it, and the settings with what the query says.

    Raises:
        ConfigurationError: it is no URL of a RabbitMQ. The message does not show it: it may hold a password.
    """
    try:
        address = URL(url)
    except ValueError:
        raise ConfigurationError(_FORM) from None
    if address.scheme not in _SCHEMES or not address.host:
        raise ConfigurationError(_FORM)
    settings, others = read_query(address.raw_query_string, settings, _IN_QUERY)
    if unknown := sorted(others.keys() - _OF_THE_LIBRARY):
        raise ConfigurationError(f"the query of the RabbitMQ URL says {', '.join(unknown)}: no such setting")
    return address.with_query({**others, "heartbeat": str(settings.heartbeat)}), settings
