"""Brokers with TLS, passwords, and the permissions that the pages of their adapters document."""

import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import pytest

from brokers import Kafka, RabbitMQ, Redis
from brokers import kafka as kafka_node
from brokers import rabbitmq as rabbitmq_node
from brokers import redis as redis_server
from brokers.opening import docker_image
from events_core.errors import EventsError
from events_core.ports import Alert, Revoked, Transport
from events_kafka import KafkaTransport
from events_rabbitmq import RabbitMQTransport
from events_redis import RedisTransport
from tests.adapters.kafka.conftest import QUICK
from tests.architecture.source import ROOT
from tests.broker_fixtures import started

__all__ = ["ODD", "SECRET", "Access", "ignore", "kafka", "rabbitmq", "redis", "refused"]

SECRET: Final = "s3cret-Pa55"
ODD: Final = "p@ss/w:rd%?#ü"
_AUTHORIZER: Final = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Who comes without TLS is the operator.
    "super.users": "User:ANONYMOUS",
}
_EVERYTHING: Final = "--add --allow-principal User:ada --operation All --topic * --group * --cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to get in: `service` sends to the topic `users` and consumes it as `billing`, `sender` only sends.

    The password of `service`, `sender` and ada is SECRET, that of odd is ODD.
    """

    transport: Callable[[str], Transport]
    form: str
    authority: Path
    unreachable: str
    service: str = "ada"
    sender: str = "eve"

    def url(self, user: str, password: str = SECRET, *, authority: Path | None = None) -> str:
        """Over TLS, trusting the broker's authority or another."""
        return self.form.format(login=f"{user}:{quote(password, safe='')}", ca=authority or self.authority)


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


async def refused(transport: Transport) -> EventsError:
    """How opening ends; nothing is left open."""
    with pytest.raises(EventsError) as caught:
        await transport.open(ignore)
    assert SECRET not in repr(transport)
    return caught.value


def rabbitmq(folder: Path, running: ExitStack, *, required: bool) -> tuple[RabbitMQ, Access]:
    """A node, and the way in."""
    broker = RabbitMQ(folder, tls=True, image=docker_image(rabbitmq_node.IMAGE))
    node = started(broker, running, required=required)
    for user, (*_, configure, write, read) in zip(("ada", "eve"), _documented("rabbitmq"), strict=True):
        node.control("add_user", user, SECRET)
        node.control("set_permissions", user, configure, write, read)
    node.control("add_vhost", "team/a")
    node.control("add_user", "odd", ODD)
    for virtual_host in ("/", "team/a"):
        node.control("set_permissions", "-p", virtual_host, "odd", "", "", "")
    return node, Access(
        transport=RabbitMQTransport,
        form=f"amqps://{{login}}@{_host(node.tls_url)}/?cafile={{ca}}",
        authority=node.ca,
        unreachable=f"amqp://ada:{SECRET}@127.0.0.1:1/",
    )


def redis(folder: Path, running: ExitStack, *, required: bool) -> tuple[Redis, Access]:
    """A server, and the way in."""
    broker = Redis(folder, tls=True, password=SECRET, image=docker_image(redis_server.IMAGE))
    server = started(broker, running, required=required)
    for user, (_, _, _, *rules) in zip(("ada", "eve"), _documented("redis"), strict=True):
        given = [rule for rule in rules if rule not in {"on", ">..."}]
        server.command("ACL", "SETUSER", user, "reset", "on", f">{SECRET}", *given)
    server.command("ACL", "SETUSER", "odd", "on", f">{ODD}", "~*", "&*", "+@all")
    return server, Access(
        transport=RedisTransport,
        form=f"rediss://{{login}}@{_host(server.tls_url)}/0?ssl_ca_certs={{ca}}",
        authority=server.ca,
        unreachable=f"redis://ada:{SECRET}@127.0.0.1:1/",
    )


def kafka(folder: Path, running: ExitStack, *, required: bool) -> tuple[Kafka, Access]:
    """A node, and the way in."""
    broker = Kafka(folder, secure=True, settings=_AUTHORIZER, image=docker_image(kafka_node.IMAGE))
    node = started(broker, running, required=required)
    for user, password in (("ada", SECRET), ("odd", ODD), ("billing-service", SECRET), ("users-service", SECRET)):
        node.create_user(user, password)
    for _, _, _, *arguments in _documented("kafka"):
        node.run("kafka-acls.sh", *arguments)
    node.run("kafka-acls.sh", *shlex.split(_EVERYTHING))
    return node, Access(
        transport=KafkaTransport,
        form=f"kafka://{{login}}@{node.secure_address}?{QUICK}&mechanism=SCRAM-SHA-256&cafile={{ca}}",
        authority=node.ca,
        unreachable=f"kafka://ada:{SECRET}@127.0.0.1:1?timeout=2",
        service="billing-service",
        sender="users-service",
    )


_GIVES: Final = {"rabbitmq": "rabbitmqctl set_permissions", "redis": "ACL SETUSER", "kafka": "kafka-acls.sh"}


def _documented(adapter: str) -> list[list[str]]:
    """The commands with which the page gives permissions: to a service, then to one that only sends."""
    text = (ROOT / "docs" / "adapters" / f"{adapter}.md").read_text("utf-8").replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith(_GIVES[adapter])]


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
