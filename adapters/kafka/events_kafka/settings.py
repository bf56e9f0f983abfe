"""How to reach a cluster, and what is to be known of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ssl import SSLContext, create_default_context
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from events_core.errors import ConfigurationError
from events_core.ports import check_namespace, check_seconds, read_query

__all__ = ["Address", "KafkaSettings", "parse"]

_IN_QUERY: Final = (
    "namespace",
    "partitions",
    "replicas",
    "retention",
    "session_timeout",
    "heartbeat_interval",
    "drain",
    "timeout",
    "accept",
    "tls",
    "cafile",
    "mechanism",
)
_SERVER: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/@\s]+)(:\d{1,5})?")
_FORM: Final = "a Kafka address reads kafka://user:password@host:9092,host2:9092, or only host:9092,host2:9092"
_WEEK: Final = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Beside the servers. All but `ssl_context` can stand in the query of a `kafka://` URL as well, and win there.

    | setting | meaning | unit | default |
    |---|---|---|---|
    | `namespace` | stands before the name of every object on the cluster | | none |
    | `partitions` | of a topic that is made here and does not say | | 12 |
    | `replicas` | of every topic that is made here; 0: one a node that is up, at most 3 | | 0 |
    | `retention` | how long such a topic keeps events, read or not | seconds | 604800 |
    | `session_timeout` | a process without a sign of life for so long loses its partitions | seconds | 30 |
    | `heartbeat_interval` | between two signs of life; a rebalance is noticed as late | seconds | 1 |
    | `drain` | how long a rebalance waits for what runs; then its partitions stay | seconds | 1 |
    | `timeout` | within which the cluster has to answer a call | seconds | 10 |
    | `accept` | names of broker settings that may be unsafe; in a URL with commas between | | none |
    | `tls` | encrypt, trusting the system's certificates | | false |
    | `cafile` | encrypt, trusting this authority (PEM) | | none |
    | `ssl_context` | for TLS where these are not enough | | none |
    | `username`, `password` | in a URL they stand before the host | | none |
    | `mechanism` | how they are checked: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 | | SCRAM-SHA-256 |
    """

    namespace: str = ""
    partitions: int = 12
    replicas: int = 0
    retention: float = _WEEK
    session_timeout: float = 30.0
    heartbeat_interval: float = 1.0
    drain: float = 1.0
    timeout: float = 10.0
    accept: frozenset[str] = frozenset()
    tls: bool = False
    cafile: str | None = None
    ssl_context: SSLContext | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = "SCRAM-SHA-256"

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        check_seconds(
            retention=self.retention,
            session_timeout=self.session_timeout,
            heartbeat_interval=self.heartbeat_interval,
            timeout=self.timeout,
        )
        if self.partitions < 1:
            raise ConfigurationError(f"partitions is at least 1, not {self.partitions}")
        if self.replicas < 0:
            raise ConfigurationError(f"replicas is 0 or more, not {self.replicas}")
        if not 0 <= self.drain < math.inf:
            raise ConfigurationError(f"drain is in seconds, finite and not below 0, not {self.drain}")
        if self.heartbeat_interval >= self.session_timeout:
            raise ConfigurationError("heartbeat_interval is below session_timeout")
        if (self.username is None) is not (self.password is None):
            raise ConfigurationError("a username needs a password, and a password a username")


@dataclass(frozen=True, slots=True)
class Address:
    """The servers to ask first, and how every connection is made."""

    servers: tuple[tuple[str, int], ...]
    security: Mapping[str, Any] = field(repr=False)


def parse(servers: str, settings: KafkaSettings) -> tuple[Address, KafkaSettings]:
    """The address, and the settings with what a URL says.

    Raises:
        ConfigurationError: it is no address of a Kafka cluster. The message does not show it: it may hold a password.
    """
    if "://" not in servers:
        return Address(_hosts(servers), _security(settings)), settings
    try:
        url = urlsplit(servers)
    except ValueError:
        raise ConfigurationError(_FORM) from None
    if url.scheme != "kafka":
        raise ConfigurationError(_FORM)
    credentials, _, hosts = url.netloc.rpartition("@")
    settings, unknown = read_query(url.query, settings, _IN_QUERY)
    if unknown:
        raise ConfigurationError(f"the query of the Kafka URL says {', '.join(sorted(unknown))}: no such setting")
    if credentials:
        username, _, password = credentials.partition(":")
        settings = replace(settings, username=unquote(username), password=unquote(password))
    return Address(_hosts(hosts), _security(settings)), settings


def _hosts(servers: str) -> tuple[tuple[str, int], ...]:
    return tuple(_server(each) for each in servers.split(","))


def _server(text: str) -> tuple[str, int]:
    if not (match := _SERVER.fullmatch(text)):
        raise ConfigurationError(_FORM)
    host, port = match.groups()
    return host.strip("[]"), int((port or ":9092")[1:])


def _security(settings: KafkaSettings) -> Mapping[str, Any]:
    encrypted = settings.tls or settings.cafile is not None
    context = settings.ssl_context or (create_default_context(cafile=settings.cafile) if encrypted else None)
    protocol = "SSL" if context else "PLAINTEXT"
    if settings.username is None:
        return {"security_protocol": protocol, "ssl_context": context}
    return {
        "security_protocol": f"SASL_{protocol}",
        "ssl_context": context,
        "sasl_mechanism": settings.mechanism,
        "sasl_plain_username": settings.username,
        "sasl_plain_password": settings.password,
    }
