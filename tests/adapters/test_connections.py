"""Connections that break or are silent, and namespaces; the same on every broker."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import pytest

from brokers import Broker
from events_core.conformance.recorder import Recorder
from events_core.conformance.stage import Stage
from events_core.errors import NotConnected
from events_core.ports import Topic, Transport, Wire
from events_kafka import KafkaTransport
from events_rabbitmq import RabbitMQTransport
from events_redis import RedisTransport
from tests.adapters.access import ignore
from tests.adapters.kafka.conftest import QUICK
from tests.faults.platforms import PLATFORMS, Platform

pytestmark = pytest.mark.anyio

WIRE = Wire({"type": "t"}, b"{}")
FIXTURES = {"kafka": "kafka", "rabbitmq": "rabbitmq", "redis": "redis_broker"}
TRANSPORTS: dict[str, Callable[[str], Transport]] = {
    "kafka": KafkaTransport,
    "rabbitmq": RabbitMQTransport,
    "redis": RedisTransport,
}
QUERIES = {"kafka": QUICK}


@dataclass(frozen=True, slots=True)
class Reached:
    """A broker that all share."""

    broker: Broker
    platform: Platform

    def transport(self, url: str, query: str) -> Transport:
        name = self.platform.name
        return TRANSPORTS[name](f"{url}?{query}&{QUERIES.get(name, '')}".rstrip("&"))


@pytest.fixture(params=[pytest.param(each, marks=pytest.mark.broker(each)) for each in FIXTURES])
def reached(request: pytest.FixtureRequest) -> Reached:
    (platform,) = [each for each in PLATFORMS if each.name == request.param]
    return Reached(cast("Broker", request.getfixturevalue(FIXTURES[platform.name])), platform)


async def test_a_connection_that_breaks_at_any_moment_is_noticed(reached: Reached) -> None:
    """Whenever it breaks, the next publish finds a new connection, and not a dead one that looks alive."""
    topic = Topic("breaking")
    async with reached.platform.proxy(reached.broker) as proxy:
        for pause in range(12):
            transport = reached.transport(proxy.url(reached.broker.url), "timeout=2")
            await transport.open(ignore)
            sending = asyncio.create_task(transport.publish(topic, [WIRE]))
            for _ in range(pause * 2):
                await asyncio.sleep(0)
            proxy.reset()
            await sending
            async with asyncio.timeout(15):
                answers = [[*await transport.publish(topic, [WIRE])] for _ in range(3)]
            assert answers[-1] == [None], (pause, answers)
            await transport.close()


async def test_a_broker_that_does_not_answer_is_waited_for_no_longer_than_the_timeout(reached: Reached) -> None:
    async with reached.platform.proxy(reached.broker) as proxy:
        proxy.down = "hold"
        transport = reached.transport(proxy.url(reached.broker.url), "timeout=0.2")
        async with asyncio.timeout(5):
            with pytest.raises(NotConnected, match=r"0\.2 s"):
                await transport.open(ignore)


async def test_two_namespaces_on_one_broker_do_not_see_each_other(reached: Reached) -> None:
    spaces: list[Stage] = []
    recorders: list[Recorder] = []
    for number, name in enumerate(("blue", "green")):
        connect = partial(reached.transport, reached.broker.url, f"namespace={name}")
        space = Stage(connect, test="namespaces", patience=20.0, delays=(0.2,))
        space.topic = spaces[0].topic if spaces else space.topic
        await space.open()
        spaces.append(space)
        recorders.append(space.recorder())
        await space.consume(recorders[-1])
        await space.send_numbers(number)
    for space, recorder in zip(spaces, recorders, strict=True):
        await space.fence(recorder)
    seen = [[number for number in each.numbers if number < 1_000] for each in recorders]
    for space in spaces:
        await space.close()
    assert seen == [[0], [1]]
