"""A node that stands still, and keeps its connections."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from brokers import FaultProxy, Kafka
from brokers import kafka as kafka_node
from brokers.opening import docker_image
from events_core import Envelope
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled, Recorder
from events_core.errors import NotConnected, OutcomeUnknown
from events_core.integration import Registration
from events_core.ports import Topic, Wire
from events_kafka import KafkaEventBus, KafkaTransport
from tests.adapters.kafka.connections import ignore, open_connections, opened
from tests.broker_fixtures import is_required, started
from tests.faults.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]

TIMEOUT: Final = 1.0
SLACK: Final = 8.0
"""Seconds on top: at most one timeout for each of the feed, the last settlements and the connections."""
PATIENCE: Final = 20.0
MUCH: Final = b'"' + b"x" * 900_000 + b'"'
"""Twenty of these are more than sockets take."""
QUICK: Final = f"timeout={TIMEOUT}&session_timeout=2&heartbeat_interval=0.3&drain=1&partitions=4"


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Kafka]:
    """One for these tests, that is in good health between them."""
    broker = Kafka(tmp_path_factory.mktemp("frozen"), image=docker_image(kafka_node.IMAGE))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


@contextmanager
def frozen(node: Kafka) -> Generator[None]:
    node.freeze()
    try:
        yield
    finally:
        node.resume()


async def warmed_up(node: Kafka) -> None:
    """A new node takes its time over its first group."""
    registration = Registration(Recorder("warming", patience=PATIENCE), Topic("frozen.warming"))
    async with KafkaEventBus(f"{node.url}?partitions=1", source="tests", registrations=[registration]):
        pass


async def started_bus(node: Kafka, *registrations: Registration) -> KafkaEventBus:
    bus = KafkaEventBus(f"{node.url}?{QUICK}", source="tests", registrations=registrations)
    await bus.startup(PATIENCE)
    return bus


async def ends_in_time(ending: Callable[[], Awaitable[None]]) -> bool:
    """Not by cancelling it: what hangs may not end then either."""
    task = asyncio.ensure_future(ending())
    done, _ = await asyncio.wait([task], timeout=TIMEOUT + SLACK)
    for each in done:
        each.result()
    return bool(done)


async def test_a_transport_with_unsent_bytes_closes_in_time_and_leaves_nothing_open(node: Kafka) -> None:
    await warmed_up(node)
    topic = Topic("frozen.transport")
    async with opened(KafkaTransport(f"{node.url}?{QUICK}")) as transport:
        assert await transport.publish(topic, [Wire({"type": "t"}, b"{}")]) == [None]
        with frozen(node):
            answers = await transport.publish(topic, [Wire({"type": "t"}, MUCH)] * 20)
            assert {type(each) for each in answers} <= {OutcomeUnknown, NotConnected}
            assert await ends_in_time(transport.close)
            assert open_connections() == []


async def test_a_bus_with_unsent_bytes_and_a_running_handler_shuts_down_in_time(node: Kafka) -> None:
    async def linger(call: Handled) -> None:
        await asyncio.sleep(TIMEOUT)

    await warmed_up(node)
    topic, recorder = Topic("frozen.bus"), Recorder("first", patience=PATIENCE, act=linger)
    bus = await started_bus(node, Registration(recorder, topic))
    await bus.send(topic, Noted(1))
    await recorder.begin(1)
    unsent = [Envelope(f"{n}", Noted.type, 1, "tests", "", MUCH) for n in range(20)]
    with frozen(node):
        answers = await bus.send_envelopes(topic, unsent, timeout=TIMEOUT)
        assert {type(each) for each in answers} <= {OutcomeUnknown, NotConnected}
        assert await ends_in_time(lambda: bus.shutdown(deadline=TIMEOUT))
        assert open_connections() == []
    again = Recorder("first", patience=PATIENCE)
    after = await started_bus(node, Registration(again, topic))
    if not recorder.numbers:
        await again.see(1)
    await after.shutdown(1)


async def test_a_dial_to_a_frozen_node_ends_with_its_transport(node: Kafka) -> None:
    transport = KafkaTransport(f"{node.url}?{QUICK}")
    with frozen(node):
        opening = asyncio.create_task(transport.open(ignore))
        await asyncio.sleep(0)
        assert await ends_in_time(transport.close)
        await asyncio.wait([opening], timeout=2 * TIMEOUT + SLACK)
        assert isinstance(opening.exception(), NotConnected)
        assert open_connections() == []


async def test_a_dial_that_succeeds_after_its_transport_was_closed_leaves_nothing_open(node: Kafka) -> None:
    for steps in range(5, 60, 5):
        transport = KafkaTransport(f"{node.url}?{QUICK}")
        opening = asyncio.create_task(transport.open(ignore))
        for _ in range(steps):
            await asyncio.sleep(0)
        await transport.close()
        await asyncio.wait([opening], timeout=TIMEOUT + SLACK)
        assert opening.done()
        opening.exception()
        assert open_connections() == []


async def test_sends_that_wait_for_their_turn_end_in_time(node: Kafka) -> None:
    await warmed_up(node)
    topic = Topic("frozen.turns")
    async with opened(KafkaTransport(f"{node.url}?{QUICK}")) as transport:
        assert await transport.publish(topic, [Wire({"type": "t"}, b"{}")]) == [None]
        with frozen(node):
            sends = [asyncio.create_task(transport.publish(topic, [Wire({"type": "t"}, b"{}")])) for _ in range(20)]
            done, _ = await asyncio.wait(sends, timeout=4 * TIMEOUT)
            assert len(done) == len(sends)


async def test_a_loss_is_noticed_where_the_first_of_the_servers_was_not_there(node: Kafka) -> None:
    await warmed_up(node)
    async with FaultProxy(node.host, int(node.address.rpartition(":")[2])) as first:
        first.up = "hold"
        servers = f"127.0.0.1:{first.port},{node.address}"
        registration = Registration(Recorder("first", patience=PATIENCE), Topic("frozen.servers"))
        async with KafkaEventBus(f"kafka://{servers}?{QUICK}", source="tests", registrations=[registration]) as bus:
            assert (await bus.health()).ready
            with frozen(node):
                await until(lambda: is_lost(bus), within=TIMEOUT + SLACK)


async def is_lost(bus: KafkaEventBus) -> bool:
    return not (await bus.health()).ready
