"""How to reach a Redis, and what is to be known of it."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from events_core.errors import ConfigurationError
from events_core.ports import check_namespace, check_seconds, read_query

__all__ = ["RedisSettings", "parse"]

_DATABASE: Final = re.compile(r"(/\d*)?")
_IN_QUERY: Final = ("namespace", "lease", "timeout", "retention", "trim_every", "accept")
_RISKS: Final = frozenset({"appendonly", "appendfsync", "maxmemory-policy"})
_PUBSUB: Final = "+pubsub"
_SCHEMES: Final = frozenset({"redis", "rediss"})
_FORM: Final = "a Redis URL reads redis://user:password@host:6379/0, or rediss://... for TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Beside the URL. All but the certificate can stand in its query as well, and win there.

    | setting | meaning | unit | default |
    |---|---|---|---|
    | `namespace` | stands before the name of every key and channel | | none |
    | `lease` | a process that shows no sign of life for so long loses what it holds | seconds | 30 |
    | `timeout` | within which Redis has to answer a call | seconds | 10 |
    | `retention` | how long a topic that nobody subscribes to keeps its events, where the topic does not say | seconds | 604800 |
    | `trim_every` | how often settled events are deleted; they are kept for at least so long | seconds | 30 |
    | `accept` | what may be unsafe, or unknown: `appendonly`, `appendfsync`, `maxmemory-policy` | names | none |
    | `ssl_ca_certs` | for `rediss://`: a file of the certificates to trust, where the system's are not enough | path | none |

    In a query the names to accept are separated by commas. What else stands there is the client library's:
    `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `client_name`.
    """

    namespace: str = ""
    lease: float = 30.0
    timeout: float = 10.0
    retention: float = 604_800.0
    trim_every: float = 30.0
    accept: frozenset[str] = frozenset()
    ssl_ca_certs: str | None = None

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        check_seconds(lease=self.lease, timeout=self.timeout, retention=self.retention, trim_every=self.trim_every)
        if unknown := sorted(self.accept - _RISKS):
            raise ConfigurationError(f"what may be unsafe is {', '.join(sorted(_RISKS))}, not {', '.join(unknown)}")


def parse(url: str, settings: RedisSettings, *, pubsub: bool = False) -> tuple[str, RedisSettings]:
    """The address as the client library wants it, and the settings with what the query says.

    Raises:
        ConfigurationError: it is no URL of a Redis. The message does not show it: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        well_formed = bool(parts.hostname) and parts.port != 0 and _DATABASE.fullmatch(parts.path)
    except ValueError:
        raise ConfigurationError(_FORM) from None
    scheme = parts.scheme.removesuffix(_PUBSUB) if pubsub else parts.scheme
    if scheme not in _SCHEMES or not well_formed:
        raise ConfigurationError(_FORM)
    settings, query = read_query(parts.query, settings, _IN_QUERY)
    if settings.ssl_ca_certs is not None and scheme == "rediss":
        query.setdefault("ssl_ca_certs", settings.ssl_ca_certs)
    return urlunsplit((scheme, parts.netloc, parts.path, urlencode(query), "")), settings
