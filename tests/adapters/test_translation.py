"""What every adapter's edge promises, whatever its client library raises."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

import events_kafka.errors
import events_rabbitmq.errors
import events_redis.errors
from events_core.errors import AccessRefused, BrokerSetupError, NotConnected

pytestmark = pytest.mark.anyio

Translated = Callable[[float | None], AbstractAsyncContextManager[None]]


@pytest.fixture(
    params=[
        pytest.param(events_kafka.errors.translated, id="kafka"),
        pytest.param(events_rabbitmq.errors.translated, id="rabbitmq"),
        pytest.param(events_redis.errors.translated, id="redis"),
    ]
)
def translated(request: pytest.FixtureRequest) -> Translated:
    edge: Translated = request.param
    return edge


async def test_an_error_of_ours_passes_as_it_is(translated: Translated) -> None:
    ours = BrokerSetupError("as it is")
    with pytest.raises(BrokerSetupError) as caught:
        async with translated(1):
            raise ours
    assert caught.value is ours


@pytest.mark.parametrize(
    "error",
    [ConnectionRefusedError("x"), OSError("x"), RuntimeError("x"), ValueError("x"), KeyError("x"), AssertionError()],
)
async def test_whatever_else_breaks_is_a_lost_connection(translated: Translated, error: Exception) -> None:
    with pytest.raises(NotConnected) as caught:
        async with translated(1):
            raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ssl.SSLError("x"), ssl.SSLCertVerificationError("x")])
async def test_a_certificate_that_is_not_trusted_is_a_refusal(translated: Translated, error: Exception) -> None:
    with pytest.raises(AccessRefused, match="certificate"):
        async with translated(1):
            raise error


async def test_a_certificate_that_the_library_only_speaks_of_is_a_refusal_too(translated: Translated) -> None:
    with pytest.raises(AccessRefused, match="connecting to host"):
        async with translated(1):
            raise ConnectionError("connecting to host") from ssl.SSLCertVerificationError("x")


async def test_errors_that_are_each_others_cause_are_understood(translated: Translated) -> None:
    # Client libraries keep the error that ended a connection, and raise it again for every call.
    ended, failed = ConnectionError("ended"), ConnectionError("failed")
    ended.__cause__, failed.__cause__ = failed, ended
    with pytest.raises(NotConnected, match="failed"):
        async with translated(1):
            raise failed


async def test_without_a_time_of_its_own_a_timeout_is_a_lost_connection(translated: Translated) -> None:
    with pytest.raises(NotConnected) as caught:
        async with translated(None):
            raise TimeoutError
    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_no_answer_in_time_is_a_lost_connection(translated: Translated) -> None:
    with pytest.raises(NotConnected, match=r"0\.01 s"):
        async with translated(0.01):
            await asyncio.get_running_loop().create_future()


async def test_a_cancellation_that_nobody_asked_for_is_a_lost_connection(translated: Translated) -> None:
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    given_up.cancel()
    with pytest.raises(NotConnected) as caught:
        async with translated(1):
            await given_up
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


async def test_a_cancellation_that_was_asked_for_stays_one(translated: Translated) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        async with translated(10):
            begun.set()
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(wait())
    await begun.wait()
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)
