"""A RabbitMQ of `brokers` can be started, hurt and brought back, and never outlives whoever started it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import aio_pika
import pytest
from aio_pika.exceptions import ProbableAuthenticationError
from aiormq.exceptions import ConnectionInternalError
from pamqp.common import Arguments

from brokers import BrokerFailed, BrokerUnavailable, RabbitMQ, open_broker
from brokers import rabbitmq as node
from brokers.waiting import answers
from tests.broker_fixtures import MakeRabbitMQ, is_required, started
from tests.tooling.waiting import eventually

pytestmark = [pytest.mark.broker("rabbitmq"), pytest.mark.anyio]

QUORUM: Arguments = {"x-queue-type": "quorum"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop will do: it is the broker that is tried here."""
    return "asyncio"


@pytest.fixture(scope="module")
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitMQ]:
    """The node that is hurt here, with TLS; each test leaves it running."""
    with ExitStack() as running:
        yield started(RabbitMQ(tmp_path_factory.mktemp("rabbitmq"), tls=True), running, required=is_required(request))


def answers_amqp(broker: RabbitMQ) -> bool:
    return answers("127.0.0.1", broker.port, question=node.PROTOCOL_HEADER, answer=node.METHOD_FRAME)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def test_a_killed_node_comes_back_with_its_messages_at_the_same_address(patient: RabbitMQ) -> None:
    url = patient.url
    async with await aio_pika.connect(url) as connection, await connection.channel() as channel:
        queue = await channel.declare_queue("kept", durable=True, arguments=QUORUM)
        message = aio_pika.Message(b"still here", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key=queue.name)
    patient.flush()
    patient.kill()
    assert not answers_amqp(patient)
    patient.start()
    assert patient.url == url
    async with await aio_pika.connect(url) as connection, await connection.channel() as channel:
        queue = await channel.declare_queue("kept", durable=True, arguments=QUORUM)
        assert (await queue.get()).body == b"still here"
    assert patient.logs().count("Starting RabbitMQ") == 2


async def test_a_frozen_node_does_not_answer_until_it_is_resumed(patient: RabbitMQ) -> None:
    assert answers_amqp(patient)
    patient.freeze()
    try:
        assert not answers_amqp(patient)
    finally:
        patient.resume()
    assert eventually(lambda: answers_amqp(patient))


async def test_tls_is_trusted_by_its_own_authority_only(patient: RabbitMQ) -> None:
    trusting = ssl.create_default_context(cafile=str(patient.ca))
    async with await aio_pika.connect(patient.tls_url, ssl_context=trusting) as connection:
        assert not connection.is_closed
    with pytest.raises(ConnectionError):
        await aio_pika.connect(patient.tls_url, ssl_context=ssl.create_default_context())


async def test_a_wrong_password_is_refused(patient: RabbitMQ) -> None:
    with pytest.raises(ProbableAuthenticationError):
        await aio_pika.connect(patient.url.replace("guest:guest", "guest:wrong"))


async def test_the_command_line_answers_or_says_why_not(patient: RabbitMQ) -> None:
    assert "guest" in patient.control("list_users")
    with pytest.raises(BrokerFailed, match=r'User "nobody" does not exist'):
        patient.control("delete_user", "nobody")


async def test_starting_a_node_that_runs_is_refused(patient: RabbitMQ) -> None:
    with pytest.raises(BrokerFailed, match="already runs"):
        patient.start()
    assert answers_amqp(patient)


async def test_a_node_without_quorum_queues_refuses_them(make_rabbitmq: MakeRabbitMQ) -> None:
    broker = make_rabbitmq(quorum_queues=False)
    connection = await aio_pika.connect(broker.url)
    channel = await connection.channel()
    with pytest.raises(ConnectionInternalError, match=r"'rabbit_quorum_queue'.*feature flag is disabled"):
        await channel.declare_queue("q", durable=True, arguments=QUORUM)
    await connection.close()


def test_a_broker_run_by_hand_prints_its_url_and_dies_with_its_process(patient: RabbitMQ, tmp_path: Path) -> None:
    # The patient's part is to be available: otherwise this is skipped.
    command = [sys.executable, "-m", "brokers", "rabbitmq"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url: str = process.stdout.readline()
        port = int(url.strip().strip("/").rpartition(":")[2])
        assert not is_free(port)
        process.send_signal(signal.SIGKILL)
    assert eventually(lambda: is_free(port))


def test_an_unknown_broker_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(BrokerUnavailable, match=r"pigeon.*rabbitmq"), open_broker("pigeon"):
        pass
