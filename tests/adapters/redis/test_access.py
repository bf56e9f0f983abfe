"""Who is let in, over TLS too, and what is said about it."""

import logging
import shlex
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import trustme

from brokers import Redis
from brokers.opening import docker_image
from brokers.redis import IMAGE
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.errors import AccessRefused, EventsError, NotConnected
from events_core.integration import Registration
from events_core.ports import Alert, Revoked, Topic, Wire
from events_redis import RedisEventBus, RedisPubSubTransport, RedisSettings, RedisTransport
from tests.adapters.redis.strangers import shown
from tests.architecture.source import ROOT
from tests.broker_fixtures import is_required, started

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]

SECRET = "s3cret-Pa55"
ODD = "p@ss/w:rd%?#ü"
NOBODY_LISTENS = "redis://:{}@127.0.0.1:1/"
TRANSPORTS = [RedisTransport, RedisPubSubTransport]


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


@pytest.fixture(scope="module")
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Redis]:
    """One server with TLS and passwords for these tests."""
    broker = Redis(tmp_path_factory.mktemp("secured"), tls=True, password=SECRET, image=docker_image(IMAGE))
    with ExitStack() as running:
        secured = started(broker, running, required=is_required(request))
        for user, rules in zip(("ada", "eve"), documented_permissions(), strict=True):
            secured.command("ACL", "SETUSER", user, "reset", "on", f">{SECRET}", *rules)
        secured.command("ACL", "SETUSER", "odd", "on", f">{ODD}", "~*", "&*", "+@all")
        yield secured


def documented_permissions() -> list[list[str]]:
    """What the page says that a service needs, and one that only sends."""
    lines = (ROOT / "docs" / "adapters" / "redis.md").read_text("utf-8").splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("ACL SETUSER")]
    return [[rule for rule in rules if rule not in {"on", ">..."}] for _, _, _, *rules in commands]


def url_of(broker: Redis, user: str, password: str = SECRET) -> str:
    host = urlsplit(broker.url).netloc.rpartition("@")[2]
    return f"redis://{user}:{password}@{host}/0"


async def refused(
    url: str,
    settings: RedisSettings | None = None,
    transport: type[RedisTransport | RedisPubSubTransport] = RedisTransport,
) -> EventsError:
    """How opening ends; nothing is left open."""
    opened = transport(url, settings)
    with pytest.raises(EventsError) as caught:
        await opened.open(ignore)
    assert SECRET not in repr(opened)
    return caught.value


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_events_travel_over_tls_where_the_authority_is_trusted(
    secured: Redis, transport: type[RedisTransport | RedisPubSubTransport]
) -> None:
    settings = RedisSettings(ssl_ca_certs=str(secured.ca))
    stage = Stage(lambda: transport(secured.tls_url, settings), test="tls", patience=10.0, delays=(0.2,))
    await stage.open()
    recorder = stage.recorder()
    await stage.process(Registration(recorder, stage.topic, broadcast=transport is RedisPubSubTransport))
    await stage.send_numbers(1, 2)
    await recorder.see(1, 2)
    await stage.close()


async def test_the_authority_can_stand_in_the_url(secured: Redis) -> None:
    async with RedisEventBus(f"{secured.tls_url}?ssl_ca_certs={secured.ca}", source="tests") as bus:
        assert (await bus.health()).ready


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_broker_whose_authority_is_not_trusted_is_not_spoken_to(
    secured: Redis, tmp_path: Path, transport: type[RedisTransport | RedisPubSubTransport]
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    error = await refused(secured.tls_url, RedisSettings(ssl_ca_certs=str(stranger)), transport)
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)
    assert SECRET not in shown(error)


async def test_a_port_that_does_not_speak_tls_is_given_up_in_time(secured: Redis) -> None:
    # A Redis waits for the end of what it takes for a very odd line.
    error = await refused(f"{secured.url.replace('redis:', 'rediss:')}?timeout=0.3")
    assert isinstance(error, NotConnected)
    assert "0.3 s" in str(error)
    assert SECRET not in shown(error)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("user", ["ada", "", "nobody"])
async def test_a_wrong_password_is_refused_and_never_shown(
    secured: Redis,
    caplog: pytest.LogCaptureFixture,
    transport: type[RedisTransport | RedisPubSubTransport],
    user: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(url_of(secured, user, f"{SECRET}-wrong"), None, transport)
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)
    assert SECRET not in shown(error)
    assert SECRET not in caplog.text


async def test_no_password_where_one_is_asked_for_is_refused(secured: Redis) -> None:
    error = await refused(f"redis://127.0.0.1:{secured.port}/0")
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)


async def test_passwords_of_any_characters_are_understood(secured: Redis) -> None:
    async with RedisEventBus(url_of(secured, "odd", quote(ODD, safe="")), source="tests") as bus:
        assert (await bus.health()).ready


async def test_an_unknown_database_is_refused(secured: Redis, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(secured.url.replace("/0", "/77"))
    assert "DB index is out of range" in str(error)
    assert SECRET not in shown(error) + caplog.text


async def test_the_password_is_in_no_log_of_a_working_bus_nor_of_an_unreachable_broker(
    secured: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bus = RedisEventBus(secured.url, source="tests")
    async with bus:
        assert (await bus.health()).ready
    error = await refused(NOBODY_LISTENS.format(SECRET))
    assert isinstance(error, NotConnected)
    assert SECRET not in shown(error) + caplog.text + repr(bus)


async def test_the_documented_permissions_are_enough_and_no_others_are_given(secured: Redis) -> None:
    stage = Stage(lambda: RedisTransport(url_of(secured, "ada")), test="permissions", patience=10.0, delays=(0.2,))
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
    with pytest.raises(AccessRefused) as caught:
        await process.bus.register(Registration(stage.recorder("billing"), Topic("payments")))
    assert SECRET not in shown(caught.value)
    await process.bus.unregister(billing)
    await stage.sender.retire("billing", stage.topic, Noted)
    await stage.close()


async def test_who_only_sends_needs_to_read_nothing(secured: Redis) -> None:
    async with RedisEventBus(url_of(secured, "eve"), source="tests") as bus:
        assert await bus.send(Topic("users"), Noted(1), id="1") == "1"


async def test_sending_where_one_may_not_write_is_an_answer_in_the_brokers_words(secured: Redis) -> None:
    transport = RedisTransport(url_of(secured, "eve"))
    await transport.open(ignore)
    (answer,) = await transport.publish(Topic("payments"), [Wire({"type": "t"}, b"{}")])
    assert answer is not None
    assert "permission" in shown(answer)
    assert SECRET not in shown(answer)
    await transport.close()
