"""The client libraries' errors in our words."""

import inspect
from collections.abc import Iterator
from types import ModuleType

import aio_pika.exceptions
import aiormq.exceptions
import pamqp.exceptions
import pytest

from events_core.errors import (
    AccessRefused,
    EventsError,
    NotConnected,
    TopologyMismatch,
    UnsafeBroker,
)
from events_rabbitmq.errors import NotThere, translate, translated

pytestmark = pytest.mark.anyio

FOREIGN = (aiormq.exceptions, aio_pika.exceptions, pamqp.exceptions)
CURED_BY_THE_OPERATOR: dict[type[Exception], type[EventsError]] = {
    aiormq.exceptions.AuthenticationError: AccessRefused,
    aiormq.exceptions.ProbableAuthenticationError: AccessRefused,
    aiormq.exceptions.ChannelAccessRefused: AccessRefused,
    aiormq.exceptions.ConnectionNotAllowed: AccessRefused,
    aiormq.exceptions.ChannelPreconditionFailed: TopologyMismatch,
    aiormq.exceptions.ChannelLockedResource: TopologyMismatch,
    aiormq.exceptions.ChannelNotFoundEntity: NotThere,
}
"""All others are lost connections: waiting cures them."""


def exceptions_of(module: ModuleType) -> Iterator[type[Exception]]:
    for _, each in inspect.getmembers(module, inspect.isclass):
        if issubclass(each, Exception):
            yield each


def name_of(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


ALL = sorted({each for module in FOREIGN for each in exceptions_of(module)}, key=name_of)


def made(kind: type[Exception]) -> Exception:
    """One of its kind, whatever its constructor wants."""
    error = kind.__new__(kind)
    error.args = ("the broker's words",)
    return error


@pytest.mark.parametrize("kind", ALL, ids=name_of)
async def test_every_error_of_the_client_libraries_is_translated_with_its_cause(kind: type[Exception]) -> None:
    error = made(kind)
    with pytest.raises(EventsError) as caught:
        async with translated(1):
            raise error
    assert type(caught.value) is CURED_BY_THE_OPERATOR.get(kind, NotConnected)
    assert caught.value.__cause__ is error
    assert "the broker's words" in str(caught.value)


def test_the_walk_through_the_libraries_finds_their_errors() -> None:
    assert set(CURED_BY_THE_OPERATOR) < set(ALL)
    assert len(ALL) > 30


@pytest.mark.parametrize(
    "words",
    [
        "inequivalent arg 'x-queue-type' for queue 'a.b'",
        "inequivalent arg 'durable' for queue 'a.b'",
        "feature flag quorum_queue is disabled",
    ],
)
def test_a_queue_that_does_not_keep_what_it_confirmed_is_unsafe(words: str) -> None:
    assert isinstance(translate(aiormq.exceptions.ChannelPreconditionFailed(words)), UnsafeBroker)
