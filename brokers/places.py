from dataclasses import dataclass
from pathlib import PurePath

from brokers.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a broker with one port, and one for TLS, runs, and how things are called there.

    `port` and `tls_port` are this machine's; `listen` and `listen_tls` are what its configuration says of them. `files`
    is its folder as it sees it.
    """

    runtime: Runtime
    host: str
    port: int
    tls_port: int
    listen: str
    listen_tls: str
    files: PurePath
