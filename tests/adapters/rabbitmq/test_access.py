"""Who is let in, over TLS too, and what is said about it."""

import logging
import shlex
import ssl
from collections.abc import Generator
from contextlib import ExitStack
from urllib.parse import quote, urlsplit

import pytest
import trustme

from brokers import RabbitMQ
from brokers.opening import docker_image
from brokers.rabbitmq import IMAGE
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.errors import AccessRefused, EventsError, NotConnected
from events_core.integration import Registration
from events_core.ports import Alert, Revoked, Topic, Wire
from events_rabbitmq import RabbitMQEventBus, RabbitMQSettings, RabbitMQTransport
from tests.adapters.rabbitmq.strangers import shown
from tests.architecture.source import ROOT
from tests.broker_fixtures import is_required, started

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

SECRET = "s3cret-Pa55"
ODD = "p@ss/w:rd%?#ü"
NOBODY_LISTENS = "amqp://guest:{}@127.0.0.1:1/"


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


@pytest.fixture(scope="module")
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitMQ]:
    """One node with TLS for these tests."""
    broker = RabbitMQ(tmp_path_factory.mktemp("secured"), tls=True, image=docker_image(IMAGE))
    with ExitStack() as running:
        secured = started(broker, running, required=is_required(request))
        for user, permissions in zip(("ada", "eve"), documented_permissions(), strict=True):
            secured.control("add_user", user, SECRET)
            secured.control("set_permissions", user, *permissions)
        secured.control("add_vhost", "team/a")
        secured.control("add_user", "odd", ODD)
        secured.control("set_permissions", "-p", "team/a", "odd", "", "", "")
        yield secured


def documented_permissions() -> list[list[str]]:
    """What the page says that a service needs, and one that only sends."""
    lines = (ROOT / "docs" / "adapters" / "rabbitmq.md").read_text("utf-8").splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("rabbitmqctl set_permissions")]
    return [permissions for _, _, _, _, _, *permissions in commands]


def url_of(broker: RabbitMQ, user: str, password: str = SECRET, path: str = "/") -> str:
    host = urlsplit(broker.url).netloc.rpartition("@")[2]
    return f"amqp://{user}:{password}@{host}{path}"


async def refused(url: str, settings: RabbitMQSettings | None = None) -> EventsError:
    """How opening ends; nothing is left open."""
    transport = RabbitMQTransport(url, settings)
    with pytest.raises(EventsError) as caught:
        await transport.open(ignore)
    assert SECRET not in repr(transport)
    return caught.value


async def test_events_travel_over_tls_where_the_authority_is_trusted(secured: RabbitMQ) -> None:
    settings = RabbitMQSettings(ssl_context=ssl.create_default_context(cafile=str(secured.ca)))
    stage = Stage(lambda: RabbitMQTransport(secured.tls_url, settings), test="tls", patience=20.0, delays=(0.2,))
    await stage.open()
    recorder = stage.recorder()
    await stage.consume(recorder)
    await stage.send_numbers(1, 2)
    await recorder.see(1, 2)
    await stage.close()


async def test_the_authority_can_stand_in_the_url(secured: RabbitMQ) -> None:
    async with RabbitMQEventBus(f"{secured.tls_url}?cafile={secured.ca}", source="tests") as bus:
        assert (await bus.health()).ready


async def test_a_broker_whose_authority_is_not_trusted_is_not_spoken_to(secured: RabbitMQ) -> None:
    stranger = ssl.create_default_context(cadata=trustme.CA().cert_pem.bytes().decode())
    error = await refused(secured.tls_url, RabbitMQSettings(ssl_context=stranger))
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)


async def test_a_port_that_does_not_speak_tls_is_named(secured: RabbitMQ) -> None:
    error = await refused(secured.url.replace("amqp:", "amqps:"))
    assert isinstance(error, AccessRefused)
    assert "TLS" in str(error)


async def test_a_wrong_password_is_refused_and_never_shown(secured: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(url_of(secured, "ada", f"{SECRET}-wrong"))
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)
    assert SECRET not in shown(error)
    assert SECRET not in caplog.text


async def test_passwords_and_virtual_hosts_of_any_characters_are_understood(secured: RabbitMQ) -> None:
    async with RabbitMQEventBus(url_of(secured, "odd", quote(ODD, safe=""), "/team%2Fa"), source="tests") as bus:
        assert (await bus.health()).ready


async def test_an_unknown_virtual_host_is_refused(secured: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(url_of(secured, "ada", path="/nowhere"))
    assert isinstance(error, AccessRefused)
    assert "nowhere" in str(error)
    assert SECRET not in shown(error)
    assert SECRET not in caplog.text


async def test_the_password_is_in_no_log_of_a_working_bus_nor_of_an_unreachable_broker(
    secured: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bus = RabbitMQEventBus(url_of(secured, "ada"), source="tests")
    async with bus:
        assert (await bus.health()).ready
    error = await refused(NOBODY_LISTENS.format(SECRET))
    assert isinstance(error, NotConnected)
    assert SECRET not in shown(error) + caplog.text + repr(bus)


async def test_the_documented_permissions_are_enough_and_no_others_are_given(secured: RabbitMQ) -> None:
    stage = Stage(lambda: RabbitMQTransport(url_of(secured, "ada")), test="permissions", patience=20.0, delays=(0.2,))
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


async def test_who_only_sends_needs_to_read_nothing(secured: RabbitMQ) -> None:
    async with RabbitMQEventBus(url_of(secured, "eve"), source="tests") as bus:
        assert await bus.send(Topic("users"), Noted(1), id="1") == "1"


async def test_sending_where_one_may_not_write_is_an_answer_in_the_brokers_words(secured: RabbitMQ) -> None:
    transport = RabbitMQTransport(url_of(secured, "eve"))
    await transport.open(ignore)
    (answer,) = await transport.publish(Topic("payments"), [Wire({"type": "t"}, b"{}")])
    assert answer is not None
    assert "ACCESS_REFUSED" in shown(answer)
    assert SECRET not in shown(answer)
    await transport.close()
