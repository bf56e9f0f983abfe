"""Who is let in, over TLS too, and what is said about it."""

import logging
import shlex
import ssl
from collections.abc import Generator
from contextlib import ExitStack
from urllib.parse import quote

import pytest
import trustme

from brokers import Kafka
from brokers import kafka as kafka_node
from brokers.opening import docker_image
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.errors import AccessRefused, EventsError, NotConnected, SendRejected
from events_core.integration import Registration
from events_core.ports import Alert, Revoked, Topic, Wire
from events_kafka import KafkaEventBus, KafkaSettings, KafkaTransport
from tests.adapters.kafka.conftest import QUICK
from tests.adapters.kafka.strangers import shown
from tests.architecture.source import ROOT
from tests.broker_fixtures import is_required, started

pytestmark = [pytest.mark.anyio, pytest.mark.broker("kafka")]

SECRET = "s3cret-Pa55"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """On uvloop the library leaves a TLS connection that was refused to the garbage collector."""
    return "asyncio"


PERMISSIONS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Who comes without TLS is the operator.
    "super.users": "User:ANONYMOUS",
}
EVERYTHING = shlex.split("--add --allow-principal User:ada --operation All --topic * --group * --cluster")
ODD = "p@ss/w:rd%?#ü"


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


@pytest.fixture(scope="module")
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Kafka]:
    """One node with TLS, SASL/SCRAM and permissions for these tests."""
    image = docker_image(kafka_node.IMAGE)
    broker = Kafka(tmp_path_factory.mktemp("secured"), secure=True, settings=PERMISSIONS, image=image)
    with ExitStack() as running:
        secured = started(broker, running, required=is_required(request))
        for user, password in (("ada", SECRET), ("odd", ODD), ("billing-service", SECRET), ("users-service", SECRET)):
            secured.create_user(user, password)
        for arguments in documented_permissions():
            secured.run("kafka-acls.sh", *arguments)
        secured.run("kafka-acls.sh", *EVERYTHING)
        yield secured


def documented_permissions() -> list[list[str]]:
    """What the page says that a service needs, and one that only sends."""
    text = (ROOT / "docs" / "adapters" / "kafka.md").read_text("utf-8").replace("\\\n", " ")
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("kafka-acls.sh")]
    return [arguments for _, _, _, *arguments in commands]


def trusting(broker: Kafka) -> KafkaSettings:
    return KafkaSettings(ssl_context=ssl.create_default_context(cafile=str(broker.ca)))


def url_of(broker: Kafka, user: str = "ada", password: str = SECRET) -> str:
    return f"kafka://{user}:{quote(password, safe='')}@{broker.secure_address}?{QUICK}&mechanism=SCRAM-SHA-256"


async def refused(url: str, settings: KafkaSettings | None = None) -> EventsError:
    """How opening ends; nothing is left open."""
    transport = KafkaTransport(url, settings)
    with pytest.raises(EventsError) as caught:
        await transport.open(ignore)
    assert SECRET not in repr(transport)
    return caught.value


async def test_events_travel_over_tls_with_a_password(secured: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = trusting(secured)
    stage = Stage(lambda: KafkaTransport(url_of(secured), settings), test="tls", patience=20.0, delays=(0.2,))
    await stage.open()
    recorder = stage.recorder()
    await stage.consume(recorder)
    await stage.send_numbers(1, 2)
    await recorder.see(1, 2)
    await stage.close()
    assert SECRET not in caplog.text


async def test_passwords_of_any_characters_are_understood(secured: Kafka) -> None:
    async with KafkaEventBus(url_of(secured, "odd", ODD), source="tests", settings=trusting(secured)) as bus:
        assert (await bus.health()).ready


async def test_the_authority_can_stand_in_the_url(secured: Kafka) -> None:
    async with KafkaEventBus(f"{url_of(secured)}&cafile={secured.ca}", source="tests") as bus:
        assert (await bus.health()).ready


async def test_a_broker_whose_authority_is_not_trusted_is_not_spoken_to(secured: Kafka) -> None:
    stranger = ssl.create_default_context(cadata=trustme.CA().cert_pem.bytes().decode())
    error = await refused(url_of(secured), KafkaSettings(ssl_context=stranger))
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)
    assert SECRET not in shown(error)


async def test_a_port_that_does_not_speak_tls_is_no_kafka(secured: Kafka) -> None:
    error = await refused(f"kafka://ada:{SECRET}@{secured.address}?{QUICK}", trusting(secured))
    assert isinstance(error, NotConnected)
    assert SECRET not in shown(error)


@pytest.mark.parametrize(("user", "password"), [("ada", f"{SECRET}-wrong"), ("nobody", SECRET)])
async def test_a_wrong_user_or_password_is_refused_and_never_shown(
    secured: Kafka, caplog: pytest.LogCaptureFixture, user: str, password: str
) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(url_of(secured, user, password), trusting(secured))
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)
    assert SECRET not in shown(error)
    assert SECRET not in caplog.text


async def test_another_mechanism_than_the_brokers_is_named(secured: Kafka) -> None:
    url = url_of(secured).replace("SCRAM-SHA-256", "SCRAM-SHA-512")
    error = await refused(url, trusting(secured))
    assert isinstance(error, AccessRefused)
    assert "mechanism" in str(error)


async def test_the_password_is_not_shown_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"kafka://ada:{SECRET}@127.0.0.1:1?timeout=2"
    error = await refused(url)
    assert isinstance(error, NotConnected)
    bus = KafkaEventBus(url, source="tests")
    assert SECRET not in shown(error) + caplog.text + repr(bus)


async def test_the_documented_permissions_are_enough_and_no_others_are_given(secured: Kafka) -> None:
    settings = trusting(secured)
    url = url_of(secured, "billing-service")
    stage = Stage(lambda: KafkaTransport(url, settings), test="permissions", patience=20.0, delays=(0.2,))
    stage.topic = Topic("users")
    await stage.open()

    async def fail(call: Handled) -> None:
        raise OSError("never")

    failing, screen = stage.recorder("billing", act=fail), stage.recorder("screen")
    billing = Registration(failing, stage.topic, retry=stage.retry)
    process = await stage.process(billing, Registration(screen, stage.topic, broadcast=True))
    await stage.send_numbers(1)
    await screen.see(1)
    (letter,) = await stage.dead_letters("billing", 1)
    assert await stage.sender.dead_letters("billing", stage.topic).discard(letter.id) == 1
    with pytest.raises(AccessRefused, match="shipping") as caught:
        await process.bus.register(Registration(stage.recorder("shipping"), stage.topic))
    assert SECRET not in shown(caught.value)
    await process.bus.unregister(billing)
    await stage.sender.retire("billing", stage.topic, Noted)
    await stage.close()


async def test_who_only_sends_needs_to_read_nothing(secured: Kafka) -> None:
    async with KafkaEventBus(url_of(secured, "users-service"), source="tests", settings=trusting(secured)) as bus:
        assert await bus.send(Topic("users"), Noted(1), id="1") == "1"


async def test_sending_where_one_may_not_write_is_an_answer_in_the_brokers_words(secured: Kafka) -> None:
    transport = KafkaTransport(url_of(secured, "users-service"), trusting(secured))
    await transport.open(ignore)
    (answer,) = await transport.publish(Topic("payments"), [Wire({"type": "t"}, b"{}")])
    assert isinstance(answer, SendRejected)
    assert "payments" in shown(answer)
    assert SECRET not in shown(answer)
    await transport.close()
