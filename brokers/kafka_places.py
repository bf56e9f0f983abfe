"""Where a Kafka node runs: its addresses, its files, and how its programs are called there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from brokers import kafka_jars
from brokers.containers import Container
from brokers.ports import LOOPBACK, free_port
from brokers.processes import Process
from brokers.runtime import Runtime

CLUSTER: Final = "ZXZlbnRzLWNvcmUtdGVzdA"
# Half of the just-in-time compiler is enough for a node that lives for minutes, and starts sooner.
JAVA: Final = ("java", "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
PROPERTIES: Final = "server.properties"
SECURITY: Final = {"DIRECT": "PLAINTEXT", "PROXIED": "PLAINTEXT", "SECURE": "SASL_SSL", "CONTROLLER": "PLAINTEXT"}
CONTAINER_PORTS: Final = (9092, 9094, 9095, 9093)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """`port` is this machine's; `listen` and `inside` are the node's own address, to listen on and to connect to."""

    name: str
    port: int
    listen: str
    inside: str

    @property
    def declared(self) -> str:
        """As Kafka's property `listeners` has it."""
        return f"{self.name}://{self.listen}"

    @property
    def protocol(self) -> str:
        """As Kafka's property `listener.security.protocol.map` has it."""
        return f"{self.name}:{SECURITY[self.name]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the node runs, and how things are called there."""

    runtime: Runtime
    host: str
    listeners: Sequence[Listener]
    files: PurePath
    storage: str
    java: Sequence[str]

    @property
    def properties(self) -> str:
        """The node's configuration."""
        return str(self.files / PROPERTIES)

    def listener(self, name: str) -> Listener:
        """The one of this name."""
        return next(listener for listener in self.listeners if listener.name == name)


def in_container(image: str, folder: Path) -> Place:
    """In a container, whose ports are published on this machine."""
    files = PurePath("/mnt/shared/config")
    ports = {inside: free_port() for inside in CONTAINER_PORTS}
    runtime = Container(
        image,
        ports=ports,
        folder=folder,
        mounted_at=str(files),
        environment={"CLUSTER_ID": CLUSTER, "KAFKA_HEAP_OPTS": "-Xmx512m"},
    )
    return Place(
        runtime=runtime,
        host=runtime.host,
        listeners=[
            Listener(name=name, port=outside, listen=f"0.0.0.0:{inside}", inside=f"localhost:{inside}")
            for name, (inside, outside) in zip(SECURITY, ports.items(), strict=True)
        ],
        files=files,
        storage="/var/lib/kafka/data",
        java=["/opt/kafka/bin/kafka-run-class.sh"],
    )


def on_this_machine(folder: Path) -> Place:
    """As a process of this machine, on its loopback interface."""
    jars = ["-cp", f"{kafka_jars.folder()}/*"]
    node = Process(
        [
            *JAVA,
            f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
            *jars,
            "kafka.Kafka",
            str(folder / PROPERTIES),
        ],
        environment={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        log=folder / "kafka.log",
    )
    ports = {name: free_port() for name in SECURITY}
    return Place(
        runtime=node,
        host=LOOPBACK,
        listeners=[
            Listener(name=name, port=port, listen=f"{LOOPBACK}:{port}", inside=f"{LOOPBACK}:{port}")
            for name, port in ports.items()
        ],
        files=folder,
        storage=str(folder / "storage"),
        java=[*JAVA, *jars],
    )
