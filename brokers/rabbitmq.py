import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Final

from brokers.broker import BrokerUnavailable
from brokers.certificates import Certificates, issue
from brokers.containers import Container
from brokers.node import NO_SETTINGS, Node
from brokers.places import Place
from brokers.ports import LOOPBACK, free_port
from brokers.processes import Process
from brokers.waiting import answers

IMAGE: Final = "rabbitmq:4"
DEBIAN_PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
# One scheduler, and one for files: more of them wait for each other, and the node takes twice as long to start.
ERLANG: Final = "+S 1:1 +SDio 1 +sbwt none -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
AMQP_PORT: Final = 5672
AMQPS_PORT: Final = 5671
PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME: Final = b"\x01"


class RabbitMQ(Node):
    """A RabbitMQ node with the user guest, as processes of this machine (loopback only) or in a container.

    It starts in some 5 s.

    Args:
        folder: Where its configuration is; without an image, its storage and log as well.
        tls: Listen with TLS too: see `tls_url` and `ca`.
        quorum_queues: Whether the node has quorum queues; a node before 4.0 can be without.
        settings: More lines for `rabbitmq.conf`, as `{"consumer_timeout": "5000"}` (milliseconds).
        image: Run this image (4.0 or later) in a container; None runs the programs of this machine.

    Raises:
        BrokerUnavailable: The image cannot be without quorum queues.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: bool = False,
        quorum_queues: bool = True,
        settings: Mapping[str, str] = NO_SETTINGS,
        image: str | None = None,
    ) -> None:
        if image and not quorum_queues:
            raise BrokerUnavailable(f"{image} always has quorum queues: only an installed RabbitMQ 3 can be without")
        self._image = image
        self._tls = tls
        self._settings = settings
        self._place = _container(image, folder) if image else _processes(folder, quorum_queues=quorum_queues)
        self._control = "rabbitmqctl" if image else str(programs() / "rabbitmqctl")
        super().__init__("RabbitMQ", folder, self._place.runtime, prepare=self._configure, ready=self._speaks)

    @property
    def url(self) -> str:
        """Where clients connect, user and password included."""
        return f"amqp://guest:guest@{self._place.host}:{self.port}/"

    @property
    def port(self) -> int:
        """The port of `url`."""
        return self._place.port

    @property
    def tls_url(self) -> str:
        """The same over TLS, for a node with `tls=True`."""
        return f"amqps://guest:guest@{self._place.host}:{self._place.tls_port}/"

    def control(self, *args: str) -> str:
        """What `rabbitmqctl` prints; a call takes about a second.

        Raises:
            BrokerFailed: It refused; the message is its own.
        """
        return self._runtime.run(self._control, "--quiet", *args)

    def flush(self) -> None:
        """Have what is known of the queues written down now.

        RabbitMQ 3.10 does so half a second late: a quorum queue declared right before `kill` comes back without a
        leader and never answers again. Call this between declaring and killing, when that is not what is tested.
        """
        self.control("eval", "[dets:sync(Table) || Table <- dets:all()].")

    def _speaks(self) -> bool:
        return answers(self._place.host, self.port, question=PROTOCOL_HEADER, answer=METHOD_FRAME)

    def _configure(self) -> None:
        if self._image is None and not installed():
            raise BrokerUnavailable("RabbitMQ is not installed: run `make brokers` as root, or start a Docker engine")
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {"log.console": "true", "loopback_users": "none", "listeners.tcp.1": self._place.listen}
        if self._tls:
            settings |= _tls_settings(issue(self._folder), self._place)
        lines = [f"{name} = {value}\n" for name, value in (settings | dict(self._settings)).items()]
        (self._folder / "rabbitmq.conf").write_text("".join(lines))
        (self._folder / "enabled_plugins").write_text("[].\n")


def _container(image: str, folder: Path) -> Place:
    port, tls_port, files = free_port(), free_port(), PurePath("/etc/rabbitmq/of-this-test")
    runtime = Container(
        image,
        ports={AMQP_PORT: port, AMQPS_PORT: tls_port},
        folder=folder,
        mounted_at=str(files),
        environment={"RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_CONFIG_FILE": str(files / "rabbitmq.conf")},
    )
    return Place(
        runtime=runtime,
        host=runtime.host,
        port=port,
        tls_port=tls_port,
        listen=str(AMQP_PORT),
        listen_tls=str(AMQPS_PORT),
        files=files,
    )


def _processes(folder: Path, *, quorum_queues: bool) -> Place:
    port, tls_port, epmd_port = free_port(), free_port(), free_port()
    environment = _environment(folder, port, epmd_port, quorum_queues=quorum_queues)
    names = Process(
        ["epmd", "-port", str(epmd_port), "-address", LOOPBACK], environment=environment, log=folder / "epmd.log"
    )
    node = Process(
        [str(programs() / "rabbitmq-server")], environment=environment, log=folder / "rabbitmq.log", companions=[names]
    )
    return Place(
        runtime=node,
        host=LOOPBACK,
        port=port,
        tls_port=tls_port,
        listen=f"{LOOPBACK}:{port}",
        listen_tls=f"{LOOPBACK}:{tls_port}",
        files=folder,
    )


def programs() -> Path:
    """Where RabbitMQ's programs are: in Debian's folder (the ones on its PATH insist on their own user), or on PATH."""
    found = shutil.which("rabbitmq-server")
    return Path(found).parent if found and not DEBIAN_PROGRAMS.exists() else DEBIAN_PROGRAMS


def installed() -> bool:
    """Whether this machine has RabbitMQ's programs."""
    return (programs() / "rabbitmq-server").exists()


def _environment(folder: Path, port: int, epmd_port: int, *, quorum_queues: bool) -> dict[str, str]:
    feature_flags = {} if quorum_queues else {"RABBITMQ_FEATURE_FLAGS": ""}
    return feature_flags | {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(folder),  # the Erlang cookie is there
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"rabbit{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "storage"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        # Its script then becomes the node instead of waiting beside it: the process we started is the one to signal.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _tls_settings(certificates: Certificates, place: Place) -> dict[str, str]:
    return {
        "listeners.ssl.1": place.listen_tls,
        "ssl_options.cacertfile": str(place.files / certificates.authority.name),
        "ssl_options.certfile": str(place.files / certificates.certificate.name),
        "ssl_options.keyfile": str(place.files / certificates.key.name),
        "ssl_options.verify": "verify_none",
    }
