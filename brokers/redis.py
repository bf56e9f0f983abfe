import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from brokers.broker import BrokerUnavailable
from brokers.certificates import Certificates, issue
from brokers.containers import Container
from brokers.node import NO_SETTINGS, Node
from brokers.places import Place
from brokers.ports import LOOPBACK, free_port
from brokers.processes import Process
from brokers.waiting import answers

IMAGE: Final = "redis:8"
SERVER: Final = "redis-server"
CLI: Final = "redis-cli"
PORT: Final = 6379
TLS_PORT: Final = 6380
PING: Final = b"PING\r\n"
PONG: Final = b"+PONG\r\n"
SAFE_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"appendonly": "yes", "appendfsync": "always", "save": '""', "maxmemory-policy": "noeviction"}
)
"""What a Redis needs that neither loses what it confirmed nor evicts it."""


class Redis(Node):
    """A Redis server that loses nothing it confirmed, as a process of this machine (loopback only) or in a container.

    It starts in some 0.1 s, and what it stored is loaded by then.

    Args:
        folder: Where its configuration is; without an image, its storage and log as well.
        tls: Listen with TLS too: see `tls_url` and `ca`.
        password: Of the user default; letters, digits and punctuation without quotes. None: it asks for none.
        settings: More lines for `redis.conf`, or other values for those it has, as `{"appendfsync": "everysec"}`.
        image: Run this image (7.0 or later) in a container; None runs the program of this machine.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: bool = False,
        password: str | None = None,
        settings: Mapping[str, str] = NO_SETTINGS,
        image: str | None = None,
    ) -> None:
        self._image = image
        self._tls = tls
        self._password = password
        self._settings = settings
        self._place = _container(image, folder, password) if image else _process(folder, password)
        super().__init__("Redis", folder, self._place.runtime, prepare=self._configure, ready=self._answers)

    @property
    def url(self) -> str:
        """Where clients connect, the password included."""
        return f"redis://{self._login}{self._place.host}:{self.port}/0"

    @property
    def port(self) -> int:
        """The port of `url`."""
        return self._place.port

    @property
    def tls_url(self) -> str:
        """The same over TLS, for a server with `tls=True`."""
        return f"rediss://{self._login}{self._place.host}:{self._place.tls_port}/0"

    def command(self, *args: str) -> str:
        """What `redis-cli` prints for this command, without the last line's end.

        Raises:
            BrokerFailed: The server refused it; the message is its own.
        """
        return self._runtime.run(CLI, "-e", "-p", str(PORT if self._image else self.port), *args).removesuffix("\n")

    @property
    def _login(self) -> str:
        return "" if self._password is None else f":{quote(self._password, safe='')}@"

    def _answers(self) -> bool:
        login, welcome = (b"", b"") if self._password is None else (f'AUTH "{self._password}"\r\n'.encode(), b"+OK\r\n")
        return answers(self._place.host, self.port, question=login + PING, answer=welcome + PONG)

    def _configure(self) -> None:
        if self._image is None and not installed():
            raise BrokerUnavailable("Redis is not installed: run `make brokers` as root, or start a Docker engine")
        self._folder.mkdir(parents=True, exist_ok=True)
        where = (
            {"protected-mode": "no", "dir": "/data"} if self._image else {"bind": LOOPBACK, "dir": str(self._folder)}
        )
        settings = {"port": self._place.listen, "daemonize": "no", **where, **SAFE_SETTINGS}
        if self._password is not None:
            settings["requirepass"] = f'"{self._password}"'
        if self._tls:
            settings |= _tls_settings(issue(self._folder), self._place)
        lines = [f"{name} {value}\n" for name, value in (settings | dict(self._settings)).items()]
        (self._folder / "redis.conf").write_text("".join(lines))


def _container(image: str, folder: Path, password: str | None) -> Place:
    port, tls_port, files = free_port(), free_port(), PurePath("/etc/redis-of-this-test")
    runtime = Container(
        image,
        ports={PORT: port, TLS_PORT: tls_port},
        folder=folder,
        mounted_at=str(files),
        environment=_login_of_cli(password),
        command=[SERVER, str(files / "redis.conf")],
    )
    return Place(
        runtime=runtime,
        host=runtime.host,
        port=port,
        tls_port=tls_port,
        listen=str(PORT),
        listen_tls=str(TLS_PORT),
        files=files,
    )


def _process(folder: Path, password: str | None) -> Place:
    port, tls_port = free_port(), free_port()
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **_login_of_cli(password)}
    server = Process([SERVER, str(folder / "redis.conf")], environment=environment, log=folder / "redis.log")
    return Place(
        runtime=server,
        host=LOOPBACK,
        port=port,
        tls_port=tls_port,
        listen=str(port),
        listen_tls=str(tls_port),
        files=folder,
    )


def installed() -> bool:
    """Whether this machine has Redis's programs."""
    return shutil.which(SERVER) is not None


def _login_of_cli(password: str | None) -> Mapping[str, str]:
    return NO_SETTINGS if password is None else {"REDISCLI_AUTH": password}


def _tls_settings(certificates: Certificates, place: Place) -> dict[str, str]:
    return {
        "tls-port": place.listen_tls,
        "tls-cert-file": str(place.files / certificates.certificate.name),
        "tls-key-file": str(place.files / certificates.key.name),
        "tls-ca-cert-file": str(place.files / certificates.authority.name),
        "tls-auth-clients": "no",
    }
