import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Final, Self
from urllib.parse import quote

from brokers.broker import BrokerUnavailable
from brokers.certificates import Certificates, issue
from brokers.containers import Container
from brokers.ports import LOOPBACK, free_port
from brokers.processes import Process
from brokers.runtime import Runtime
from brokers.waiting import answers, start

IMAGE: Final = "redis:8"
START_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 10.0
SERVER: Final = "redis-server"
CLI: Final = "redis-cli"
PORT: Final = 6379
TLS_PORT: Final = 6380
PING: Final = b"PING\r\n"
PONG: Final = b"+PONG\r\n"
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})
SAFE_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"appendonly": "yes", "appendfsync": "always", "save": '""', "maxmemory-policy": "noeviction"}
)
"""What a Redis needs that neither loses what it confirmed nor evicts it."""


class Redis:
    """A Redis server that loses nothing it confirmed, as a process of this machine (loopback only) or in a container.

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
        self._folder = folder
        self._image = image
        self._tls = tls
        self._password = password
        self._settings = settings
        self._place = _container(image, folder, password) if image else _process(folder, password)
        self._runtime = self._place.runtime

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

    @property
    def ca(self) -> Path:
        """The certificate (PEM) that a client has to trust; written by `start`."""
        return self._folder / "authority.pem"

    def start(self) -> None:
        """Start the server and return when it answers, some 0.1 s later; what it stored is loaded by then.

        Raises:
            BrokerUnavailable: Redis is not installed; the message says what to do.
            BrokerFailed: It ended, or was not ready in time; the message has the end of its log.
        """
        if self._image is None and not installed():
            raise BrokerUnavailable("Redis is not installed: run `make brokers` as root, or start a Docker engine")
        self._configure()
        start("Redis", self._runtime, self._answers, timeout=START_TIMEOUT)

    def stop(self) -> None:
        """Shut the server down in good order, kill it after 10 s; nothing is left running, and its storage stays."""
        self._runtime.end(timeout=STOP_TIMEOUT)

    def kill(self) -> None:
        """SIGKILL the server."""
        self._runtime.kill()

    def freeze(self) -> None:
        """SIGSTOP the server."""
        self._runtime.freeze()

    def resume(self) -> None:
        """SIGCONT the server."""
        self._runtime.resume()

    def logs(self) -> str:
        """The server's log since it was first started."""
        return self._runtime.logs()

    def command(self, *args: str) -> str:
        """What `redis-cli` prints for this command, without the last line's end.

        Raises:
            BrokerFailed: The server refused it; the message is its own.
        """
        return self._runtime.run(CLI, "-e", "-p", str(self._place.cli_port), *args).removesuffix("\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._runtime.discard()

    @property
    def _login(self) -> str:
        return "" if self._password is None else f":{quote(self._password, safe='')}@"

    def _answers(self) -> bool:
        login, welcome = (b"", b"") if self._password is None else (f'AUTH "{self._password}"\r\n'.encode(), b"+OK\r\n")
        return answers(self._place.host, self.port, question=login + PING, answer=welcome + PONG)

    def _configure(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {"port": self._place.listen, "daemonize": "no", "dir": str(self._place.storage), **SAFE_SETTINGS}
        settings |= self._place.settings
        if self._password is not None:
            settings["requirepass"] = f'"{self._password}"'
        if self._tls:
            settings |= _tls_settings(issue(self._folder), self._place)
        lines = [f"{name} {value}\n" for name, value in (settings | dict(self._settings)).items()]
        (self._folder / "redis.conf").write_text("".join(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the server runs, and how things are called there."""

    runtime: Runtime
    host: str
    port: int
    tls_port: int
    listen: str
    listen_tls: str
    cli_port: int
    files: PurePath
    storage: PurePath
    settings: Mapping[str, str]


def _container(image: str, folder: Path, password: str | None) -> _Place:
    port, tls_port, files = free_port(), free_port(), PurePath("/etc/redis-of-this-test")
    runtime = Container(
        image,
        ports={PORT: port, TLS_PORT: tls_port},
        folder=folder,
        mounted_at=str(files),
        environment=_login_of_cli(password),
        command=[SERVER, str(files / "redis.conf")],
    )
    return _Place(
        runtime=runtime,
        host=runtime.host,
        port=port,
        tls_port=tls_port,
        listen=str(PORT),
        listen_tls=str(TLS_PORT),
        cli_port=PORT,
        files=files,
        storage=PurePath("/data"),
        settings={"protected-mode": "no"},
    )


def _process(folder: Path, password: str | None) -> _Place:
    port, tls_port = free_port(), free_port()
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **_login_of_cli(password)}
    server = Process([SERVER, str(folder / "redis.conf")], environment=environment, log=folder / "redis.log")
    return _Place(
        runtime=server,
        host=LOOPBACK,
        port=port,
        tls_port=tls_port,
        listen=str(port),
        listen_tls=str(tls_port),
        cli_port=port,
        files=folder,
        storage=folder,
        settings={"bind": LOOPBACK},
    )


def installed() -> bool:
    """Whether this machine has Redis's programs."""
    return shutil.which(SERVER) is not None


def _login_of_cli(password: str | None) -> Mapping[str, str]:
    return NO_SETTINGS if password is None else {"REDISCLI_AUTH": password}


def _tls_settings(certificates: Certificates, place: _Place) -> dict[str, str]:
    return {
        "tls-port": place.listen_tls,
        "tls-cert-file": str(place.files / certificates.certificate.name),
        "tls-key-file": str(place.files / certificates.key.name),
        "tls-ca-cert-file": str(place.files / certificates.authority.name),
        "tls-auth-clients": "no",
    }
