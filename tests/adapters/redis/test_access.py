"""Who is let in, where Redis has something of its own: Pub/Sub, databases, and passwords without a user."""

import logging
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from brokers import Redis
from events_core.conformance.stage import Stage
from events_core.errors import AccessRefused, NotConnected
from events_core.integration import Registration
from events_redis import RedisEventBus, RedisPubSubTransport, RedisSettings, RedisTransport
from tests.adapters.access import SECRET, Access, refused
from tests.adapters.showing import shown

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]


@pytest.fixture
def secured(secured_redis: tuple[Redis, Access]) -> Redis:
    return secured_redis[0]


async def test_ephemeral_events_travel_over_tls_where_the_authority_is_trusted(secured: Redis) -> None:
    settings = RedisSettings(ssl_ca_certs=str(secured.ca))
    stage = Stage(lambda: RedisPubSubTransport(secured.tls_url, settings), test="tls", patience=10.0, delays=(0.2,))
    await stage.open()
    recorder = stage.recorder()
    await stage.process(Registration(recorder, stage.topic, broadcast=True))
    await stage.send_numbers(1, 2)
    await recorder.see(1, 2)
    await stage.close()


async def test_the_settings_may_say_whom_to_trust(secured: Redis) -> None:
    settings = RedisSettings(ssl_ca_certs=str(secured.ca))
    async with RedisEventBus(secured.tls_url, source="tests", settings=settings) as bus:
        assert (await bus.health()).ready


@pytest.mark.parametrize("transport", [RedisTransport, RedisPubSubTransport])
async def test_a_broker_that_the_settings_do_not_trust_is_not_spoken_to(
    secured: Redis, tmp_path: Path, transport: type[RedisTransport | RedisPubSubTransport]
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    error = await refused(transport(secured.tls_url, RedisSettings(ssl_ca_certs=str(stranger))))
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)
    assert SECRET not in shown(error)


async def test_a_port_that_does_not_speak_tls_is_given_up_in_time(secured: Redis) -> None:
    # A Redis waits for the end of what it takes for a very odd line.
    error = await refused(RedisTransport(f"{secured.url.replace('redis:', 'rediss:')}?timeout=0.3"))
    assert isinstance(error, NotConnected)
    assert "0.3 s" in str(error)
    assert SECRET not in shown(error)


@pytest.mark.parametrize("transport", [RedisTransport, RedisPubSubTransport])
async def test_a_wrong_password_without_a_user_is_refused_and_never_shown(
    secured: Redis, caplog: pytest.LogCaptureFixture, transport: type[RedisTransport | RedisPubSubTransport]
) -> None:
    caplog.set_level(logging.DEBUG)
    host = urlsplit(secured.url).netloc.rpartition("@")[2]
    error = await refused(transport(f"redis://:{SECRET}-wrong@{host}/0"))
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)
    assert SECRET not in shown(error) + caplog.text


async def test_no_password_where_one_is_asked_for_is_refused(secured: Redis) -> None:
    error = await refused(RedisTransport(f"redis://127.0.0.1:{secured.port}/0"))
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)


async def test_an_unknown_database_is_refused(secured: Redis, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await refused(RedisTransport(secured.url.replace("/0", "/77")))
    assert "DB index is out of range" in str(error)
    assert SECRET not in shown(error) + caplog.text
