"""A node that stands still, and keeps its connections."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Final

import pytest

from brokers import RabbitMQ
from brokers.opening import docker_image
from brokers.rabbitmq import IMAGE
from events_core import Envelope
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled, Recorder
from events_core.errors import NotConnected, OutcomeUnknown
from events_core.integration import Registration
from events_core.ports import Alert, Revoked, Topic, Wire
from events_rabbitmq import RabbitMQEventBus, RabbitMQSettings, RabbitMQTransport
from tests.broker_fixtures import is_required, started
from tests.faults.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

TIMEOUT: Final = 1.0
SLACK: Final = 8.0
"""Seconds on top: at most one timeout for each of the feed, the last settlements and the connections."""
PATIENCE: Final = 20.0
MUCH: Final = b'"' + b"x" * 900_000 + b'"'
"""Twenty of these are more than sockets take."""
UNSENT: Final = [Envelope(f"{n}", Noted.type, 1, "tests", "", MUCH) for n in range(20)]


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitMQ]:
    """One for these tests, that is in good health between them."""
    broker = RabbitMQ(tmp_path_factory.mktemp("frozen"), image=docker_image(IMAGE))
    with ExitStack() as running:
        yield started(broker, running, required=is_required(request))


@contextmanager
def frozen(node: RabbitMQ) -> Generator[None]:
    node.freeze()
    try:
        yield
    finally:
        node.resume()


async def started_bus(node: RabbitMQ, *registrations: Registration) -> RabbitMQEventBus:
    settings = RabbitMQSettings(timeout=TIMEOUT)
    bus = RabbitMQEventBus(node.url, source="tests", settings=settings, registrations=registrations)
    await bus.startup()
    return bus


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


@asynccontextmanager
async def opened(node: RabbitMQ, settings: RabbitMQSettings) -> AsyncGenerator[RabbitMQTransport]:
    transport = RabbitMQTransport(node.url, settings)
    await transport.open(ignore)
    try:
        yield transport
    finally:
        await transport.close()


async def ends_in_time(ending: Callable[[], Awaitable[None]]) -> bool:
    """Not by cancelling it: what hangs may not end then either."""
    task = asyncio.ensure_future(ending())
    done, _ = await asyncio.wait([task], timeout=TIMEOUT + SLACK)
    for each in done:
        each.result()
    return bool(done)


async def test_a_transport_with_unsent_bytes_closes_in_time(node: RabbitMQ) -> None:
    transport = RabbitMQTransport(node.url, RabbitMQSettings(timeout=TIMEOUT))
    await transport.open(ignore)
    topic = Topic("frozen.transport")
    assert await transport.publish(topic, [Wire({"type": "t"}, b"{}")]) == [None]
    with frozen(node):
        answers = await transport.publish(topic, [Wire({"type": "t"}, MUCH)] * 20)
        assert {type(each) for each in answers} == {OutcomeUnknown}
        assert await ends_in_time(transport.close)


async def test_a_bus_with_unsent_bytes_and_a_running_handler_shuts_down_in_time(node: RabbitMQ) -> None:
    async def linger(call: Handled) -> None:
        await asyncio.sleep(TIMEOUT)

    topic, recorder = Topic("frozen.bus"), Recorder("first", patience=PATIENCE, act=linger)
    bus = await started_bus(node, Registration(recorder, topic))
    await bus.send(topic, Noted(1))
    await recorder.begin(1)
    with frozen(node):
        answers = await bus.send_envelopes(topic, UNSENT, timeout=TIMEOUT)
        assert {type(each) for each in answers} <= {OutcomeUnknown, NotConnected}
        assert await ends_in_time(lambda: bus.shutdown(deadline=TIMEOUT))
    again = Recorder("first", patience=PATIENCE)
    after = await started_bus(node, Registration(again, topic))
    if not recorder.numbers:
        await again.see(1)
    await after.shutdown(1)


async def test_a_dial_to_a_frozen_node_ends_with_its_transport(node: RabbitMQ) -> None:
    transport = RabbitMQTransport(node.url, RabbitMQSettings(timeout=TIMEOUT))
    with frozen(node):
        opening = asyncio.create_task(transport.open(ignore))
        await asyncio.sleep(0)
        assert await ends_in_time(transport.close)
        await asyncio.wait([opening], timeout=2 * TIMEOUT + SLACK)
        assert isinstance(opening.exception(), NotConnected)


async def test_messages_that_are_never_confirmed_are_not_remembered_for_ever(node: RabbitMQ) -> None:
    topic, wire = Topic("frozen.unconfirmed"), Wire({"type": "t"}, b"{}")
    # A heartbeat so long that the connection outlives the test: its end forgets everything anyway.
    async with opened(node, RabbitMQSettings(timeout=TIMEOUT, heartbeat=600)) as transport:
        assert await transport.publish(topic, [wire]) == [None]
        with frozen(node):
            for _ in range(3):
                answers = await transport.publish(topic, [wire] * 50)
                assert {type(each) for each in answers} <= {OutcomeUnknown, NotConnected}
            await until(
                lambda: remembered(transport) == 0, within=PATIENCE, hope=lambda: f"not {remembered(transport)} kept"
            )

        async def is_confirmed() -> bool:
            return await transport.publish(topic, [wire]) == [None]

        await until(is_confirmed, within=PATIENCE, hope=lambda: "a send is confirmed")
        assert remembered(transport) == 0


def remembered(transport: RabbitMQTransport) -> int:
    """How many messages the publishers wait for."""
    return sum(len(publisher._waiting) for publisher in transport._publishers.values())
