"""The client library's errors in our words."""

import inspect

import pytest
import redis.exceptions as foreign

from events_core.errors import (
    AccessRefused,
    BrokerSetupError,
    EventsError,
    NotConnected,
    SendRejected,
    TopologyMismatch,
)
from events_redis.errors import translate, translated

pytestmark = pytest.mark.anyio

MEANINGS: dict[type[Exception], type[EventsError]] = {
    foreign.AuthenticationError: AccessRefused,
    foreign.AuthenticationWrongNumberOfArgsError: AccessRefused,
    foreign.AuthorizationError: AccessRefused,
    foreign.NoPermissionError: AccessRefused,
    foreign.OutOfMemoryError: SendRejected,
    foreign.ReadOnlyError: NotConnected,
    foreign.ClusterDownError: NotConnected,
    foreign.MasterDownError: NotConnected,
    foreign.TryAgainError: NotConnected,
}
"""What else Redis replies is for the operator; all others are lost connections: waiting cures them."""

ALL = sorted(
    {each for _, each in inspect.getmembers(foreign, inspect.isclass) if issubclass(each, Exception)},
    key=lambda each: each.__name__,
)


def made(kind: type[Exception]) -> Exception:
    """One of its kind, whatever its constructor wants."""
    error = kind.__new__(kind)
    error.args = ("the broker's words",)
    return error


@pytest.mark.parametrize("kind", ALL, ids=lambda each: each.__name__)
async def test_every_error_of_the_client_library_is_translated_with_its_cause(kind: type[Exception]) -> None:
    error = made(kind)
    with pytest.raises(EventsError) as caught:
        async with translated(1):
            raise error
    otherwise = BrokerSetupError if issubclass(kind, foreign.ResponseError) else NotConnected
    assert type(caught.value) is MEANINGS.get(kind, otherwise)
    assert caught.value.__cause__ is error
    assert "the broker's words" in str(caught.value)


def test_the_walk_through_the_library_finds_its_errors() -> None:
    assert set(MEANINGS) < set(ALL)
    assert len(ALL) > 30


@pytest.mark.parametrize("words", ["WRONGTYPE Operation against a key holding the wrong kind of value"])
def test_a_key_of_another_type_is_a_mismatch(words: str) -> None:
    assert isinstance(translate(foreign.ResponseError(words)), TopologyMismatch)
