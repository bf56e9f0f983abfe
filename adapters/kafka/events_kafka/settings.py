"""How to reach a cluster, and what is to be known of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ssl import SSLContext, create_default_context
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from events_core.errors import ConfigurationError

__all__ = ["Address", "KafkaSettings", "parse"]

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
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
        if self.namespace and not _NAMESPACE.fullmatch(self.namespace):
            raise ConfigurationError("a namespace is up to 64 of the characters A-Z a-z 0-9 _ . -")
        if self.partitions < 1 or min(self.retention, self.session_timeout, self.timeout) <= 0 or self.drain < 0:
            raise ConfigurationError("partitions, retention, session_timeout and timeout are above 0, drain not below")
        if not 0 < self.heartbeat_interval < self.session_timeout:
            raise ConfigurationError("heartbeat_interval is above 0 and below session_timeout")
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
    try:
        if "://" in servers:
            url = urlsplit(servers)
            if url.scheme != "kafka":
                raise ConfigurationError(_FORM)
            credentials, _, servers = url.netloc.rpartition("@")
            settings = _with(settings, dict(parse_qsl(url.query)), credentials)
        hosts = tuple(_server(each) for each in servers.split(","))
    except ValueError:
        raise ConfigurationError(_FORM) from None
    return Address(hosts, _security(settings)), settings


def _with(settings: KafkaSettings, query: Mapping[str, str], credentials: str) -> KafkaSettings:
    if credentials:
        username, _, password = credentials.partition(":")
        settings = replace(settings, username=unquote(username), password=unquote(password))
    seconds = ("retention", "session_timeout", "heartbeat_interval", "drain", "timeout")
    changes: dict[str, Any] = {name: float(query[name]) for name in seconds if name in query}
    accept = frozenset(query["accept"].split(",")) if "accept" in query else settings.accept
    return replace(
        settings,
        **changes,
        namespace=query.get("namespace", settings.namespace),
        mechanism=query.get("mechanism", settings.mechanism),
        cafile=query.get("cafile", settings.cafile),
        partitions=int(query.get("partitions", settings.partitions)),
        accept=accept,
        tls=query.get("tls", str(settings.tls)).lower() in {"1", "true", "yes"},
    )


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
