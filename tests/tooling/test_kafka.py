"""A Kafka node of `brokers` can be started, hurt and brought back."""

import shutil
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from brokers import BrokerFailed, BrokerUnavailable, FaultProxy, Kafka, kafka_jars
from brokers import kafka as node
from brokers.opening import docker_image
from brokers.waiting import answers
from tests.adapters.kafka.strangers import Record, configured, make_topic, partitions, publish, records
from tests.broker_fixtures import is_required, started
from tests.tooling.waiting import eventually

pytestmark = [pytest.mark.broker("kafka"), pytest.mark.anyio]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop will do: it is the broker that is tried here."""
    return "asyncio"


@pytest.fixture(scope="module")
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Kafka]:
    """The node that is hurt here; each test leaves it running."""
    settings = {"log.retention.hours": "7"}
    broker = Kafka(tmp_path_factory.mktemp("kafka"), settings=settings, image=docker_image(node.IMAGE))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


def answers_kafka(broker: Kafka) -> bool:
    host, _, port = broker.address.partition(":")
    return answers(host, int(port), question=node.API_VERSIONS, answer=node.SHORT_ANSWER)


async def test_a_killed_node_comes_back_with_its_records_at_the_same_address(patient: Kafka) -> None:
    url = patient.url
    await make_topic(url, "kept")
    await publish(url, "kept", b"still here")
    patient.kill()
    assert not answers_kafka(patient)
    patient.start()
    assert patient.url == url
    assert await records(url, "kept") == [Record(None, b"still here", {}, 0, 0)]
    assert patient.logs().count("Kafka Server started") == 2


async def test_a_node_that_was_stopped_starts_again(patient: Kafka) -> None:
    await make_topic(patient.url, "stopped")
    patient.stop()
    assert not answers_kafka(patient)
    patient.start()
    assert await partitions(patient.url, "stopped") == 1


async def test_a_frozen_node_does_not_answer_until_it_is_resumed(patient: Kafka) -> None:
    assert answers_kafka(patient)
    patient.freeze()
    try:
        assert not answers_kafka(patient)
    finally:
        patient.resume()
    assert eventually(lambda: answers_kafka(patient))


async def test_clients_that_come_through_the_proxy_stay_behind_it(patient: Kafka) -> None:
    await make_topic(patient.url, "proxied")
    async with FaultProxy(patient.host, patient.proxied_port, at=patient.proxy_port) as proxy:
        await publish(patient.proxied_url, "proxied", b"seen")
        proxy.refuse = True
        with pytest.raises(Exception, match="bootstrap"):
            await publish(patient.proxied_url, "proxied", b"refused")
    assert [each.value for each in await records(patient.url, "proxied")] == [b"seen"]


async def test_settings_are_the_nodes(patient: Kafka) -> None:
    await make_topic(patient.url, "settings")
    assert (await configured(patient.url, "settings"))["retention.ms"] == str(7 * 3_600_000)


def test_its_own_tools_answer_or_say_why_not(patient: Kafka) -> None:
    patient.run("kafka-topics.sh", "--create", "--topic", "told")
    assert "told" in patient.run("kafka-topics.sh", "--list")
    with pytest.raises(BrokerFailed, match="already exists"):
        patient.run("kafka-topics.sh", "--create", "--topic", "told")


def test_where_maven_central_cannot_be_reached_it_is_said_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if shutil.which("mvn") is None:
        pytest.skip("Maven is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nowhere = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1"
    monkeypatch.setenv("MAVEN_OPTS", f"{nowhere} -Dmaven.repo.local={tmp_path / 'repository'}")
    with pytest.raises(BrokerUnavailable, match="reach Maven Central") as caught:
        kafka_jars.fetch()
    assert "https://repo.maven.apache.org" in str(caught.value)
    assert list((tmp_path / "cache" / "events-core").iterdir()) == []
    with pytest.raises(BrokerUnavailable, match="make brokers"):
        Kafka(tmp_path).start()


def test_starting_a_node_that_runs_is_refused(patient: Kafka) -> None:
    with pytest.raises(BrokerFailed, match="already runs"):
        patient.start()
    assert answers_kafka(patient)
