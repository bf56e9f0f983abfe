from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from brokers import kafka_jars
from brokers.broker import BrokerUnavailable
from brokers.certificates import OWNER_WRITES_ALL_READ, issue
from brokers.kafka_places import CLUSTER, PROPERTIES, Place, in_container, on_this_machine
from brokers.node import NO_SETTINGS, Node
from brokers.ports import LOOPBACK, free_port
from brokers.waiting import answers

IMAGE: Final = f"apache/kafka:{kafka_jars.VERSION}"
# A request for the API versions, in the oldest form; the answer begins with its length, which is below 65536.
API_VERSIONS: Final = b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"
SHORT_ANSWER: Final = b"\x00\x00"
SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
TOOLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
        "kafka-configs.sh": "kafka.admin.ConfigCommand",
        "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    }
)
LOGGING: Final = """\
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
"""
# A cluster of one, and nobody waits: not for more members, nor for the session of a node that was killed.
ALONE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "DIRECT",
        "broker.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "100",
        "controller.quorum.election.timeout.ms": "200",
        "controller.quorum.election.backoff.max.ms": "50",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "log.cleaner.dedupe.buffer.size": "4194304",
        "log.cleaner.backoff.ms": "200",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "auto.create.topics.enable": "false",
    }
)
# Members of a cluster wait for each other on a busy machine; what one confirms two of them have.
TOGETHER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "broker.session.timeout.ms": "3000",
        "controller.quorum.election.timeout.ms": "1000",
        "controller.quorum.election.backoff.max.ms": "1000",
        "offsets.topic.replication.factor": "3",
        "transaction.state.log.replication.factor": "3",
        "transaction.state.log.min.isr": "2",
    }
)


class Kafka(Node):
    """A Kafka node, broker and controller in one, as a process of this machine (loopback only) or in a container.

    Clients that come through `proxied_url` are told to stay on `proxy_port`: whoever listens there (a `FaultProxy`)
    and forwards to `proxied_port` sees everything that they say. It starts in some 5 s the first time, then in 4 s.

    Args:
        folder: Where its configuration is; without an image, its storage and log as well.
        secure: Listen with TLS and passwords too: see `secure_address`, `ca`, and `create_user`.
        settings: More of the node's properties, as `{"min.insync.replicas": "2"}`.
        image: Run this image (4.0 or later) in a container; None runs the programs of this machine.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secure: bool = False,
        settings: Mapping[str, str] = NO_SETTINGS,
        image: str | None = None,
    ) -> None:
        self._image = image
        self._secure = secure
        self._settings = settings
        self._membership: Mapping[str, str] | None = None
        self._place = in_container(image, folder) if image else on_this_machine(folder)
        super().__init__("Kafka", folder, self._place.runtime, prepare=self._prepare, ready=self._speaks)
        self.proxy_port: Final = free_port()
        """Where clients of `proxied_url` are told to be; this machine's."""

    @property
    def address(self) -> str:
        """Host and port for clients that come directly, without TLS or password."""
        return f"{self.host}:{self._place.listener('DIRECT').port}"

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"kafka://{self.address}"

    @property
    def proxied_url(self) -> str:
        """Where clients connect through a proxy at `proxy_port`."""
        return f"kafka://{LOOPBACK}:{self.proxy_port}"

    @property
    def host(self) -> str:
        """The machine that the ports are on."""
        return self._place.host

    @property
    def proxied_port(self) -> int:
        """Where a proxy at `proxy_port` has to forward to."""
        return self._place.listener("PROXIED").port

    @property
    def secure_address(self) -> str:
        """Host and port with TLS and SASL/SCRAM-SHA-256, for a node with `secure=True`."""
        return f"{self.host}:{self._place.listener('SECURE').port}"

    def join(self, members: Sequence["Kafka"]) -> None:
        """Be one of these nodes of one cluster from its first start on; all of them are processes of this machine."""
        voters = [f"{number}@{node._controller}" for number, node in enumerate(members, 1)]  # noqa: SLF001 of its class
        own = {"node.id": str(members.index(self) + 1), "controller.quorum.voters": ",".join(voters)}
        self._membership = {**TOGETHER, **own}

    def run(self, tool: str, *args: str) -> str:
        """What one of Kafka's own tools (as `kafka-topics.sh`) prints of this node; a call takes a second or two.

        Raises:
            BrokerFailed: It refused; the message is its own.
        """
        return self._runtime.run(*self._place.java, TOOLS[tool], *self._bootstrap, *args)

    def type_in(self, topic: str, *lines: str) -> None:
        """Type lines into `kafka-console-producer.sh`: each is an event without key or headers."""
        command = [*self._place.java, "org.apache.kafka.tools.ConsoleProducer", *self._bootstrap, "--topic", topic]
        typing = 'printf "%s\\n" "$0" | exec "$@"'
        self._runtime.run("sh", "-c", typing, "\n".join(lines), *command)

    def create_user(self, name: str, password: str) -> None:
        """Let this user in where the node is secure."""
        secret = f"SCRAM-SHA-256=[iterations=4096,password={password}]"
        self.run("kafka-configs.sh", "--alter", "--entity-type", "users", "--entity-name", name, "--add-config", secret)

    @property
    def _controller(self) -> str:
        return self._place.listener("CONTROLLER").inside

    @property
    def _bootstrap(self) -> tuple[str, str]:
        return "--bootstrap-server", self._place.listener("DIRECT").inside

    def _speaks(self) -> bool:
        return answers(self.host, self._place.listener("DIRECT").port, question=API_VERSIONS, answer=SHORT_ANSWER)

    def _prepare(self) -> None:
        if self._image is None and not kafka_jars.installed():
            raise BrokerUnavailable("Kafka is not installed: run `make brokers` as root, or start a Docker engine")
        self._configure()
        if self._image is None:
            self._format()

    def _format(self) -> None:
        if not (self._folder / "storage" / "meta.properties").exists():
            tool = [*self._place.java, "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER]
            self._runtime.run(*tool, "--config", self._place.properties)

    def _configure(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._place
        names = ["DIRECT", "PROXIED", "CONTROLLER"]
        advertised = [f"DIRECT://{self.address}", f"PROXIED://{LOOPBACK}:{self.proxy_port}"]
        membership = self._membership or {"controller.quorum.voters": f"1@{self._controller}"}
        properties = {**ALONE, **membership, "log.dirs": place.storage}
        if self._secure:
            names.append("SECURE")
            advertised.append(f"SECURE://{self.secure_address}")
            properties |= _secure_settings(self._folder, place)
        listeners = [place.listener(name) for name in names]
        properties |= {
            "listeners": ",".join(listener.declared for listener in listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(listener.protocol for listener in listeners),
        }
        lines = [f"{name}={value}\n" for name, value in (properties | dict(self._settings)).items()]
        (self._folder / PROPERTIES).write_text("".join(lines))
        (self._folder / "log4j2.properties").write_text(LOGGING)


def _secure_settings(folder: Path, place: Place) -> dict[str, str]:
    certificates = issue(folder)
    # Kafka reads the key and the certificate from one file.
    both = folder / "node.pem"
    both.write_bytes(_pkcs8(certificates.key.read_bytes()) + certificates.certificate.read_bytes())
    both.chmod(OWNER_WRITES_ALL_READ)
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(place.files / both.name),
        "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.secure.scram-sha-256.sasl.jaas.config": f"{SCRAM} required;",
    }


def _pkcs8(key: bytes) -> bytes:
    return load_pem_private_key(key, password=None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
