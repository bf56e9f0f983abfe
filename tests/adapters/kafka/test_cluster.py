"""Three nodes, one of which may be lost."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Final

import pytest

from brokers import Kafka, KafkaCluster
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Recorder
from events_core.errors import EventsError, UnsafeBroker
from events_core.integration import Registration
from events_core.ports import Topic
from events_kafka import KafkaEventBus, KafkaSettings
from events_kafka.clients import Clients
from events_kafka.link import Link
from events_kafka.settings import parse
from events_kafka.topology import Topics
from tests.adapters.kafka.strangers import configured, knows, make_topic, nodes, partitions, replicas
from tests.broker_fixtures import is_required, started
from tests.faults.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]

PATIENCE: Final = 60.0
QUICK: Final = "partitions=3&session_timeout=3&heartbeat_interval=0.5&drain=1&timeout=5"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[KafkaCluster]:
    """One for these tests; all of its nodes are up between them."""
    broker = KafkaCluster(tmp_path_factory.mktemp("cluster"))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


def bus_of(cluster: KafkaCluster, *registrations: Registration, query: str = "") -> KafkaEventBus:
    return KafkaEventBus(f"{cluster.url}?{QUICK}{query}", source="tests", registrations=registrations)


async def all_up(cluster: KafkaCluster) -> None:
    async def are_up() -> bool:
        return await nodes(cluster.url) == len(cluster.nodes)

    await until(are_up, within=PATIENCE, hope=lambda: "all nodes are up")


async def test_what_is_made_on_a_cluster_outlives_the_loss_of_a_node(cluster: KafkaCluster) -> None:
    await all_up(cluster)
    async with bus_of(cluster, Registration(Recorder("safe", patience=PATIENCE), Topic("safe"))):
        pass
    for topic in ("safe", "safe.safe.dead", "safe.safe.retry.0", "events.subscriptions"):
        assert await replicas(cluster.url, topic) == 3
        settings = await configured(cluster.url, topic)
        assert (settings["min.insync.replicas"], settings["unclean.leader.election.enable"]) == ("2", "false")


async def test_what_is_made_is_known_to_every_node_before_it_is_used(cluster: KafkaCluster) -> None:
    await all_up(cluster)
    settings = KafkaSettings(partitions=3, timeout=5)
    topics = Topics(settings)
    async with linked(cluster, settings) as link:
        for number in range(20):
            name = f"known.{number}"
            await topics.ensure_events(link, name, Topic(name))
            assert await strangers_to(cluster, name) == []


@pytest.mark.parametrize(
    ("name", "factor", "in_sync", "setting"),
    [("alone", 1, "1", "replication.factor"), ("trusting", 3, "1", "min.insync.replicas")],
)
async def test_a_topic_that_may_lose_what_it_confirmed_is_refused_or_accepted_by_name(
    cluster: KafkaCluster, name: str, factor: int, in_sync: str, setting: str
) -> None:
    await all_up(cluster)
    await make_topic(cluster.url, name, replicas=factor, min_insync_replicas=in_sync)
    registration = Registration(Recorder("first", patience=PATIENCE), Topic(name))
    with pytest.raises(UnsafeBroker, match=f"accept={setting}"):
        await bus_of(cluster, registration).startup(PATIENCE)
    async with bus_of(cluster, registration, query="&accept=replication.factor,min.insync.replicas") as bus:
        assert (await bus.health()).ready


async def test_a_single_replica_is_refused_before_anything_is_made(cluster: KafkaCluster) -> None:
    await all_up(cluster)
    registration = Registration(Recorder("first", patience=PATIENCE), Topic("single"))
    with pytest.raises(UnsafeBroker, match=r"accept=replication\.factor"):
        await bus_of(cluster, registration, query="&replicas=1").startup(PATIENCE)
    assert await partitions(cluster.url, "single") == 0


async def test_what_was_confirmed_is_handled_although_a_node_is_killed(cluster: KafkaCluster) -> None:
    await all_up(cluster)
    topic, recorder = Topic("survivors"), Recorder("first", patience=PATIENCE)
    async with bus_of(cluster, Registration(recorder, topic)) as bus:
        await goes_on(bus, topic, 0)
        sending = asyncio.create_task(sent(bus, topic, range(1, 1_000)))
        async with killed(*cluster.nodes[:1]):
            confirmed = await sending
            await goes_on(bus, topic, 1_000)
            await recorder.see(0, *confirmed, 1_000)


async def test_where_most_nodes_are_lost_sends_fail_in_time_and_all_goes_on_when_they_are_back(
    cluster: KafkaCluster,
) -> None:
    await all_up(cluster)
    topic, recorder = Topic("majority"), Recorder("first", patience=PATIENCE)
    async with bus_of(cluster, Registration(recorder, topic)) as bus:
        await goes_on(bus, topic, 1)
        async with killed(*cluster.nodes[:2]):
            assert await sent(bus, topic, [2]) == []
        await goes_on(bus, topic, 3)
        await recorder.see(1, 3)


@asynccontextmanager
async def linked(cluster: KafkaCluster, settings: KafkaSettings) -> AsyncGenerator[Link]:
    address, settings = parse(cluster.url, settings)
    clients = Clients(address, settings)
    link = Link(clients, settings.timeout, lost=lambda _reason: None, gone=lambda _topics: None)
    await link.open()
    try:
        yield link
    finally:
        await link.close()
        await clients.close()


async def strangers_to(cluster: KafkaCluster, topic: str) -> list[str]:
    """The nodes that do not know of it."""
    know = await asyncio.gather(*(knows(node.address, topic) for node in cluster.nodes))
    return [node.address for node, known in zip(cluster.nodes, know, strict=True) if not known]


@asynccontextmanager
async def killed(*nodes: Kafka) -> AsyncGenerator[None]:
    """They are back at the end."""
    for node in nodes:
        await asyncio.to_thread(node.kill)
    try:
        yield
    finally:
        await asyncio.gather(*(asyncio.to_thread(node.start) for node in nodes))


async def goes_on(bus: KafkaEventBus, topic: Topic, number: int) -> None:
    """Return when the cluster confirms this one."""

    async def confirmed() -> bool:
        return bool(await sent(bus, topic, [number]))

    await until(confirmed, within=PATIENCE, hope=lambda: "the cluster confirms events")


async def sent(bus: KafkaEventBus, topic: Topic, numbers: Sequence[int]) -> list[int]:
    """Which of them were confirmed."""

    async def send(number: int) -> bool:
        try:
            await bus.send(topic, Noted(number))
        except EventsError:
            return False
        return True

    answers = await asyncio.gather(*map(send, numbers))
    return [number for number, answer in zip(numbers, answers, strict=True) if answer]
