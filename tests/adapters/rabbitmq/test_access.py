"""Who is let in, over TLS too, and what is said about it."""

import logging
import ssl
from collections.abc import Generator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import trustme

from brokers import RabbitMQ
from brokers.opening import docker_image
from brokers.rabbitmq import IMAGE
from events_core.conformance.stage import Stage
from events_core.errors import AccessRefused, BrokerSetupError, ConfigurationError, EventsError, NotConnected
from events_core.ports import Alert, Revoked, Topic, Wire
from events_rabbitmq import RabbitMQEventBus, RabbitMQSettings, RabbitMQTransport
from tests.broker_fixtures import is_required, started

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

SECRET = "s3cret-Pa55"
NOBODY_LISTENS = "amqp://guest:{}@127.0.0.1:1/"


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


@pytest.fixture(scope="module")
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitMQ]:
    """One node with TLS for these tests."""
    broker = RabbitMQ(tmp_path_factory.mktemp("secured"), tls=True, image=docker_image(IMAGE))
    with ExitStack() as running:
        secured = started(broker, running, required=is_required(request))
        secured.control("add_user", "ada", SECRET)
        secured.control("set_permissions", "ada", r"^users$|^billing\.users", r"^users$|^billing\.users|^amq\.default$", ".*")
        yield secured


def as_ada(broker: RabbitMQ, password: str = SECRET, path: str = "/") -> str:
    host = urlsplit(broker.url).netloc.rpartition("@")[2]
    return f"amqp://ada:{password}@{host}{path}"


def shown(error: BaseException) -> str:
    """All that a log would show of it."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        texts += [str(cause), repr(cause)]
        cause = cause.__cause__
    return "\n".join(texts)


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
    stranger = ssl.create_default_context()
    trustme.CA().configure_trust(stranger)
    error = await refused(secured.tls_url, RabbitMQSettings(ssl_context=stranger))
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)


async def test_a_port_that_does_not_speak_tls_is_named(secured: RabbitMQ) -> None:
    error = await refused(secured.url.replace("amqp:", "amqps:"))
    assert isinstance(error, AccessRefused)
    assert "TLS" in str(error)


async def test_a_wrong_password_is_refused_and_never_shown(
    secured: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(as_ada(secured, f"{SECRET}-wrong"))
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)
    assert SECRET not in shown(error)
    assert SECRET not in caplog.text


async def test_an_unknown_virtual_host_is_refused(secured: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(as_ada(secured, path="/nowhere"))
    assert isinstance(error, AccessRefused)
    assert "nowhere" in str(error)
    assert SECRET not in shown(error)
    assert SECRET not in caplog.text


async def test_the_password_is_in_no_log_of_a_working_bus_nor_of_an_unreachable_broker(
    secured: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bus = RabbitMQEventBus(as_ada(secured), source="tests")
    async with bus:
        assert (await bus.health()).ready
    error = await refused(NOBODY_LISTENS.format(SECRET))
    assert isinstance(error, NotConnected)
    assert SECRET not in shown(error) + caplog.text + repr(bus)


@pytest.mark.parametrize(
    "url",
    [
        f"http://guest:{SECRET}@host/",
        f"amqp://guest:{SECRET}@/",
        f"amqp://guest:{SECRET}@host:port/",
        f"amqp://guest:{SECRET}@host/?heartbeat=often",
        f"guest:{SECRET}",
    ],
)
def test_what_is_no_url_of_a_rabbitmq_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="amqp://") as caught:
        RabbitMQTransport(url)
    assert SECRET not in shown(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_settings_show_no_certificates() -> None:
    assert "ssl" not in repr(RabbitMQSettings(ssl_context=ssl.create_default_context()))


async def test_the_documented_permissions_are_enough_and_what_they_leave_out_is_refused(secured: RabbitMQ) -> None:
    stage = Stage(lambda: RabbitMQTransport(as_ada(secured)), test="permissions", patience=20.0, delays=(0.2,))
    stage.topic = Topic("users")
    await stage.open()
    consumer = stage.recorder("billing")
    process = await stage.consume(consumer)
    await stage.send_numbers(1)
    await consumer.see(1)
    with pytest.raises(BrokerSetupError, match="shipping") as caught:
        await stage.consume(stage.recorder("shipping"))
    assert isinstance(caught.value, AccessRefused)
    assert SECRET not in shown(caught.value)
    await process.bus.delete_subscription("billing", stage.topic, force=True)
    stage._subscribed.clear()
    await stage.close()


async def test_sending_where_one_may_not_write_is_an_answer(secured: RabbitMQ) -> None:
    transport = RabbitMQTransport(as_ada(secured))
    await transport.open(ignore)
    (answer,) = await transport.publish(Topic("payments"), [Wire({"type": "t"}, b"{}")])
    assert answer is not None
    assert "ACCESS_REFUSED" in shown(answer)
    await transport.close()
