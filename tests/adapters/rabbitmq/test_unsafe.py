"""A node that could not keep what it confirmed."""

import pytest

from events_core.conformance.stage import Stage
from events_core.errors import UnsafeBroker
from events_rabbitmq import RabbitMQTransport
from tests.broker_fixtures import MakeRabbitMQ

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """A node of its own takes seconds, and it refuses whoever asks."""
    return "asyncio"


async def test_a_node_without_quorum_queues_is_refused_with_what_to_change(make_rabbitmq: MakeRabbitMQ) -> None:
    broker = make_rabbitmq(quorum_queues=False)
    stage = Stage(lambda: RabbitMQTransport(broker.url), test="unsafe", patience=10.0, delays=(0.2,))
    with pytest.raises(UnsafeBroker, match="quorum") as caught:
        await stage.consume(stage.recorder())
    assert "upgrade" in str(caught.value)
    await stage.close()
