"""The client library's errors in our words."""

import inspect

import aiokafka.errors  # type: ignore[import-untyped]
import pytest

from events_core.errors import (
    AccessRefused,
    EventsError,
    NotConnected,
    SendRejected,
    SubscriptionNotEmpty,
    TopologyMismatch,
)
from events_kafka.errors import translated

pytestmark = pytest.mark.anyio

SAYS: dict[str, type[EventsError]] = {
    "AuthenticationFailedError": AccessRefused,
    "AuthenticationMethodNotSupported": AccessRefused,
    "ClusterAuthorizationFailedError": AccessRefused,
    "DelegationTokenAuthorizationFailed": AccessRefused,
    "GroupAuthorizationFailedError": AccessRefused,
    "IllegalSaslStateError": AccessRefused,
    "SaslAuthenticationFailed": AccessRefused,
    "TopicAuthorizationFailedError": AccessRefused,
    "TransactionalIdAuthorizationFailed": AccessRefused,
    "UnsupportedSaslMechanismError": AccessRefused,
    "NonEmptyGroup": SubscriptionNotEmpty,
    "InconsistentGroupProtocolError": TopologyMismatch,
    "InvalidConfigurationError": TopologyMismatch,
    "InvalidPartitionsError": TopologyMismatch,
    "InvalidReplicationAssignmentError": TopologyMismatch,
    "InvalidSessionTimeoutError": TopologyMismatch,
    "InvalidTopicError": TopologyMismatch,
    "PolicyViolationError": TopologyMismatch,
    "UnsupportedForMessageFormatError": TopologyMismatch,
    "UnsupportedVersionError": TopologyMismatch,
    "IncompatibleBrokerVersion": TopologyMismatch,
    "UnrecognizedBrokerVersion": TopologyMismatch,
    "MessageSizeTooLargeError": SendRejected,
    "RecordListTooLargeError": SendRejected,
    "RecordTooLargeError": SendRejected,
}
"""What waiting does not cure. All others are lost connections."""
ALL = sorted(
    (
        each
        for _, each in inspect.getmembers(aiokafka.errors, inspect.isclass)
        # The root of what brokers answer has no number of its own, and cannot even be shown.
        if issubclass(each, Exception) and each is not aiokafka.errors.BrokerResponseError
    ),
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
    assert type(caught.value) is SAYS.get(kind.__name__, NotConnected)
    assert caught.value.__cause__ is error
    assert "the broker's words" in str(caught.value)


def test_the_walk_through_the_library_finds_its_errors() -> None:
    assert SAYS.keys() <= {each.__name__ for each in ALL}
    assert len(ALL) > 80
