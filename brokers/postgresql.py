import os
import pwd
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from brokers.broker import BrokerFailed, BrokerUnavailable
from brokers.containers import Container
from brokers.node import NO_SETTINGS, Node
from brokers.ports import LOOPBACK, free_port
from brokers.processes import Process
from brokers.runtime import Runtime
from brokers.waiting import PAUSE, start

IMAGE: Final = "postgres:17"
PORT: Final = 5432
USER: Final = "postgres"
POOLER: Final = "pgbouncer"
VERSIONS: Final = Path("/usr/lib/postgresql")
ALL_ENTER: Final = 0o755
POOLER_TIMEOUT: Final = 10.0
POOLED: Final = """
[databases]
{database} = host={host} port={to} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
"""


class PostgreSQL(Node):
    """A PostgreSQL server that loses nothing it committed, as a process of this machine (loopback only) or in a container.

    It starts in a second, the first time in three. It refuses to run as root: started by root it runs as the user
    `postgres`, in a folder of its own in the system's place for temporary files.

    Args:
        folder: Where its storage and log are, unless root starts it.
        settings: More lines for `postgresql.conf`, as `{"max_connections": "20"}`.
        image: Run this image in a container; None runs the programs of this machine.
    """

    def __init__(self, folder: Path, *, settings: Mapping[str, str] = NO_SETTINGS, image: str | None = None) -> None:
        self._settings = settings
        self._place = _container(image, folder, settings) if image else _process(folder)
        super().__init__("PostgreSQL", folder, self._place.runtime, prepare=self._configure, ready=self._answers)

    @property
    def url(self) -> str:
        """Where clients connect; they may do everything."""
        return f"postgresql://{USER}@{self._place.host}:{self.port}/postgres"

    @property
    def port(self) -> int:
        """The port of `url`."""
        return self._place.port

    def stop(self) -> None:
        """Shut the server down without waiting for its clients; nothing is left running, and its storage stays."""
        self.resume()
        if self._place.data is not None and self._runtime.running:
            with suppress(BrokerFailed):  # it is ended all the same
                self._tool("pg_ctl", "stop", "-D", str(self._place.data), "-m", "fast")
        super().stop()

    def kill(self) -> None:
        """SIGKILL the server and its children, which have sessions of their own."""
        if self._runtime.running:
            self._runtime.freeze()  # it has no further children
        children = self._children()
        self._runtime.kill()
        for child in children:
            _send(child, signal.SIGKILL)
        while any(_lives(child) for child in children):
            time.sleep(PAUSE)

    def freeze(self) -> None:
        """SIGSTOP the server and its children."""
        self._runtime.freeze()
        for child in self._children():
            _send(child, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT the server and its children."""
        for child in self._children():
            _send(child, signal.SIGCONT)
        if self._runtime.running:
            self._runtime.resume()

    def query(self, sql: str, *, database: str = "postgres") -> str:
        """What `psql` prints for these statements: a line a row, columns with | between.

        Raises:
            BrokerFailed: The server refused them; the message is its own.
        """
        port = str(self._place.listen)
        return self._tool(
            "psql", "-h", LOOPBACK, "-p", port, "-U", USER, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, database
        ).removesuffix("\n")

    def new_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self.query(f'CREATE DATABASE "{name}"')
        return f"postgresql://{USER}@{self._place.host}:{self.port}/{name}"

    @contextmanager
    def transaction_pooler(self, database: str) -> Generator[str]:
        """PgBouncer in front of a database: the URL of a way on which each transaction may get another session.

        Raises:
            BrokerUnavailable: It is not installed.
        """
        pooler = _pooler()
        if pooler is None:
            raise BrokerUnavailable("PgBouncer is not installed: run `make brokers` as root")
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
            folder = Path(name)
            folder.chmod(ALL_ENTER)
            settings = POOLED.format(database=database, host=self._place.host, to=self.port, user=USER, port=port)
            (folder / "pgbouncer.ini").write_text(settings)
            command = [*_as_user(), pooler, str(folder / "pgbouncer.ini")]
            process = Process(command, environment={"LANG": "C.UTF-8"}, log=folder / "pgbouncer.log")
            start("PgBouncer", process, partial(_listens, port), timeout=POOLER_TIMEOUT)
            try:
                yield f"postgresql://{USER}@{LOOPBACK}:{port}/{database}"
            finally:
                process.kill()

    def __exit__(self, *_: object) -> None:
        # In good order it would first write down what nobody will read any more.
        self.kill()
        self._runtime.discard()
        if self._place.own is not None:
            shutil.rmtree(self._place.own, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return self.query("SELECT 1") == "1"
        except BrokerFailed:
            return False

    def _configure(self) -> None:
        data = self._place.data
        if data is None:
            return
        if not installed():
            raise BrokerUnavailable("PostgreSQL is not installed: run `make brokers` as root, or start a Docker engine")
        if not (data / "PG_VERSION").exists():
            self._make(data)

    def _make(self, data: Path) -> None:
        data.mkdir(parents=True)
        if self._place.own is not None:
            self._place.own.chmod(ALL_ENTER)
            shutil.chown(data, USER, USER)
        self._tool("initdb", "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        with (data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _tool(self, name: str, *arguments: str) -> str:
        program = [name] if self._place.data is None else [*_as_user(), str(programs() / name)]
        return self._runtime.run(*program, *arguments)

    def _children(self) -> list[int]:
        if self._place.data is None:
            return []
        with suppress(OSError, ValueError):
            server = int((self._place.data / "postmaster.pid").read_text().split()[0])
            listed = Path(f"/proc/{server}/task/{server}/children").read_text()
            return [int(child) for child in listed.split()]
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the server runs. In a container nobody but the container knows its storage."""

    runtime: Runtime
    host: str
    port: int
    listen: int
    data: Path | None = None
    own: Path | None = None
    """A folder made for it, to be removed."""


def _container(image: str, folder: Path, settings: Mapping[str, str]) -> _Place:
    port = free_port()
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    runtime = Container(
        image,
        ports={PORT: port},
        folder=folder,
        mounted_at="/etc/postgresql-of-this-test",
        environment={"POSTGRES_HOST_AUTH_METHOD": "trust"},
        command=["postgres", *options],
    )
    return _Place(runtime=runtime, host=runtime.host, port=port, listen=PORT)


def _process(folder: Path) -> _Place:
    port = free_port()
    # Tests' folders are closed to other users.
    own = Path(tempfile.gettempdir(), f"postgresql-{os.urandom(8).hex()}") if os.geteuid() == 0 else None
    place = own or folder
    data = place / "data"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    command = [*_as_user(), str(programs() / "postgres"), "-D", str(data)]
    runtime = Process(command, environment=environment, log=place / "postgresql.log")
    return _Place(runtime=runtime, host=LOOPBACK, port=port, listen=port, data=data, own=own)


def programs() -> Path:
    """The folder of the newest version's programs."""
    found = [each for each in VERSIONS.glob("*/bin") if (each / "postgres").exists()]
    return max(found, key=lambda each: [int(n) for n in re.findall(r"\d+", each.parent.name)], default=VERSIONS)


def installed() -> bool:
    """Whether this machine has PostgreSQL's programs and a pooler, and a user to run them."""
    return _pooler() is not None and (programs() / "initdb").exists() and (os.geteuid() != 0 or _has_user())


def _pooler() -> str | None:
    # Debian keeps it where only root looks.
    return shutil.which(POOLER, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def _has_user() -> bool:
    with suppress(KeyError):
        pwd.getpwnam(USER)
        return True
    return False


def _as_user() -> list[str]:
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if os.geteuid() == 0 else []


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
