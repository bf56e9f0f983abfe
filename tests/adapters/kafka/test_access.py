"""Who is let in, where Kafka has something of its own: contexts for TLS, and mechanisms."""

import ssl

import pytest
import trustme

from brokers import Kafka
from events_core.conformance.events import Noted
from events_core.errors import AccessRefused, NotConnected
from events_core.ports import Topic
from events_kafka import KafkaEventBus, KafkaSettings, KafkaTransport
from tests.adapters.access import SECRET, Access, refused
from tests.adapters.kafka.conftest import QUICK
from tests.adapters.kafka.connections import open_connections
from tests.adapters.showing import shown

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]


@pytest.fixture
def secured(secured_kafka: tuple[Kafka, Access]) -> Kafka:
    return secured_kafka[0]


def url_of(broker: Kafka, mechanism: str = "SCRAM-SHA-256") -> str:
    return f"kafka://ada:{SECRET}@{broker.secure_address}?{QUICK}&mechanism={mechanism}"


def trusting(broker: Kafka) -> KafkaSettings:
    return KafkaSettings(ssl_context=ssl.create_default_context(cafile=str(broker.ca)))


async def test_a_context_may_say_whom_to_trust(secured: Kafka) -> None:
    async with KafkaEventBus(url_of(secured), source="tests", settings=trusting(secured)) as bus:
        assert (await bus.health()).ready


class NeverSaysGoodbye(ssl.SSLObject):
    """The other side does not answer the end of the connection."""

    def unwrap(self) -> None:
        raise ssl.SSLWantReadError


async def test_a_broker_that_does_not_answer_the_end_of_a_connection_leaves_none_open(secured: Kafka) -> None:
    settings = trusting(secured)
    assert settings.ssl_context is not None
    settings.ssl_context.sslobject_class = NeverSaysGoodbye
    async with KafkaEventBus(url_of(secured), source="tests", settings=settings) as bus:
        await bus.send(Topic("goodbye"), Noted(1))
    assert open_connections() == []


async def test_a_broker_that_the_context_does_not_trust_is_not_spoken_to(secured: Kafka) -> None:
    stranger = ssl.create_default_context(cadata=trustme.CA().cert_pem.bytes().decode())
    error = await refused(KafkaTransport(url_of(secured), KafkaSettings(ssl_context=stranger)))
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)
    assert SECRET not in shown(error)


async def test_a_port_that_does_not_speak_tls_is_no_kafka(secured: Kafka) -> None:
    error = await refused(KafkaTransport(f"kafka://ada:{SECRET}@{secured.address}?{QUICK}", trusting(secured)))
    assert isinstance(error, NotConnected)
    assert SECRET not in shown(error)


async def test_another_mechanism_than_the_brokers_is_named(secured: Kafka) -> None:
    error = await refused(KafkaTransport(url_of(secured, "SCRAM-SHA-512"), trusting(secured)))
    assert isinstance(error, AccessRefused)
    assert "mechanism" in str(error)
