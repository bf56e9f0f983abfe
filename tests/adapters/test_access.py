"""Who is let in, over TLS too, and what is said about it; the same on every broker."""

import logging
from pathlib import Path
from typing import cast

import pytest
import trustme

from events_core import IntegrationEventBus, open_bus
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled
from events_core.conformance.stage import Stage
from events_core.errors import AccessRefused, NotConnected
from events_core.integration import Registration
from events_core.ports import Topic, Wire
from tests.adapters.access import ODD, SECRET, Access, ignore, refused
from tests.adapters.showing import shown

pytestmark = pytest.mark.anyio


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.broker(name)) for name in ("kafka", "rabbitmq", "redis")],
)
def access(request: pytest.FixtureRequest) -> Access:
    _, access = cast("tuple[object, Access]", request.getfixturevalue(f"secured_{request.param}"))
    return access


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that anybody logs."""
    caplog.set_level(logging.DEBUG)
    return caplog


def bus_of(url: str) -> IntegrationEventBus:
    return open_bus(url, source="tests")


def staged(access: Access, user: str, test: str) -> Stage:
    return Stage(lambda: access.transport(access.url(user)), test=test, patience=20.0, delays=(0.2,))


async def test_events_travel_over_tls_where_the_authority_is_trusted(
    access: Access, logged: pytest.LogCaptureFixture
) -> None:
    stage = staged(access, access.service, "tls")
    stage.topic = Topic("users")
    await stage.open()
    recorder = stage.recorder("billing")
    await stage.consume(recorder)
    await stage.send_numbers(1, 2)
    await recorder.see(1, 2)
    await stage.close()
    assert SECRET not in logged.text


async def test_a_broker_whose_authority_is_not_trusted_is_not_spoken_to(access: Access, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    error = await refused(access.transport(access.url(access.service, authority=stranger)))
    assert isinstance(error, AccessRefused)
    assert "certificate" in str(error)
    assert SECRET not in shown(error)


@pytest.mark.parametrize(("user", "password"), [("ada", f"{SECRET}-wrong"), ("nobody", SECRET)])
async def test_a_wrong_user_or_password_is_refused_and_never_shown(
    access: Access, logged: pytest.LogCaptureFixture, user: str, password: str
) -> None:
    error = await refused(access.transport(access.url(user, password)))
    assert isinstance(error, AccessRefused)
    assert "password" in str(error)
    assert SECRET not in shown(error) + logged.text


async def test_passwords_of_any_characters_are_understood(access: Access) -> None:
    async with bus_of(access.url("odd", ODD)) as bus:
        assert (await bus.health()).ready


async def test_the_password_is_in_no_log_of_a_working_bus(access: Access, logged: pytest.LogCaptureFixture) -> None:
    bus = bus_of(access.url(access.service))
    async with bus:
        assert (await bus.health()).ready
    assert SECRET not in logged.text + repr(bus)


async def test_the_password_is_not_shown_where_nobody_listens(access: Access, logged: pytest.LogCaptureFixture) -> None:
    error = await refused(access.transport(access.unreachable))
    assert isinstance(error, NotConnected)
    assert SECRET not in shown(error) + logged.text


async def test_the_documented_permissions_are_enough_and_no_others_are_given(access: Access) -> None:
    stage = staged(access, access.service, "permissions")
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
        await process.bus.register(Registration(stage.recorder("shipping"), stage.topic))
    assert SECRET not in shown(caught.value)
    await process.bus.unregister(billing)
    await stage.sender.retire("billing", stage.topic, Noted)
    await stage.close()


async def test_who_only_sends_needs_to_read_nothing(access: Access) -> None:
    async with bus_of(access.url(access.sender)) as bus:
        assert await bus.send(Topic("users"), Noted(1), id="1") == "1"


async def test_sending_where_one_may_not_write_is_an_answer_in_the_brokers_words(access: Access) -> None:
    transport = access.transport(access.url(access.sender))
    await transport.open(ignore)
    (answer,) = await transport.publish(Topic("payments"), [Wire({"type": "t"}, b"{}")])
    assert answer is not None
    assert any(words in shown(answer) for words in ("ACCESS_REFUSED", "permission", "TopicAuthorizationFailed"))
    assert SECRET not in shown(answer)
    await transport.close()
