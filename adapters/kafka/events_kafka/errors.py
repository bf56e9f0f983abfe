"""The client library's errors in the words of the core, translated once."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import errors as foreign  # type: ignore[import-untyped]

from events_core.errors import (
    AccessRefused,
    EventsError,
    NotConnected,
    SendRejected,
    SubscriptionNotEmpty,
    TopologyMismatch,
)

__all__ = ["BROKEN_SEQUENCE", "TOO_LARGE", "translate", "translated"]

BROKEN_SEQUENCE: Final[tuple[type[Exception], ...]] = (
    foreign.OutOfOrderSequenceNumber,
    foreign.UnknownProducerId,
    foreign.InvalidProducerEpoch,
    foreign.InvalidProducerIdMapping,
    foreign.ProducerFenced,
)
"""The broker no longer follows the producer: a new one has to be made."""
TOO_LARGE: Final[tuple[type[Exception], ...]] = (
    foreign.MessageSizeTooLargeError,
    foreign.RecordListTooLargeError,
    foreign.RecordTooLargeError,
)
_CERTIFICATES: Final = "; check the certificates, and that this port speaks TLS"
_PERMISSIONS: Final = "; check user, password, mechanism and permissions"
_MEANINGS: Final[tuple[tuple[tuple[type[Exception], ...], type[EventsError], str], ...]] = (
    ((ssl.SSLError,), AccessRefused, _CERTIFICATES),
    (
        (
            foreign.AuthenticationFailedError,
            foreign.AuthenticationMethodNotSupported,
            foreign.ClusterAuthorizationFailedError,
            foreign.DelegationTokenAuthorizationFailed,
            foreign.GroupAuthorizationFailedError,
            foreign.IllegalSaslStateError,
            foreign.SaslAuthenticationFailed,
            foreign.TopicAuthorizationFailedError,
            foreign.TransactionalIdAuthorizationFailed,
            foreign.UnsupportedSaslMechanismError,
        ),
        AccessRefused,
        _PERMISSIONS,
    ),
    ((foreign.NonEmptyGroup,), SubscriptionNotEmpty, "; it is being consumed: stop these processes"),
    (
        (
            foreign.InconsistentGroupProtocolError,
            foreign.InvalidConfigurationError,
            foreign.InvalidPartitionsError,
            foreign.InvalidReplicationAssignmentError,
            foreign.InvalidReplicationFactorError,
            foreign.InvalidSessionTimeoutError,
            foreign.InvalidTopicError,
            foreign.PolicyViolationError,
            foreign.UnsupportedForMessageFormatError,
            foreign.UnsupportedVersionError,
            foreign.IncompatibleBrokerVersion,
            foreign.UnrecognizedBrokerVersion,
        ),
        TopologyMismatch,
        "",
    ),
    (TOO_LARGE, SendRejected, "; raise max.message.bytes of the topic"),
)
"""The first that fits. What is none of these is a lost connection, and passes."""


@asynccontextmanager
async def translated(timeout: float | None) -> AsyncGenerator[None, None]:
    """End in time (None: the caller sees to it), and raise nothing but the core's errors; a `CancelledError` that nobody asked for is a loss."""
    try:
        async with asyncio.timeout(timeout):
            yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise NotConnected("the connection to Kafka broke") from error
    except EventsError:
        raise
    except Exception as error:
        # The library raises bare AssertionErrors, KeyErrors and ValueErrors where a node vanished meanwhile.
        raise translate(error, timeout) from error


def translate(error: BaseException, timeout: float | None = None) -> EventsError:
    """What a foreign error means to the caller. Texts are the broker's; a password is in none of them."""
    if isinstance(error, TimeoutError) and timeout is not None:
        return NotConnected(f"Kafka did not answer within {timeout:g} s")
    text = str(error) or type(error).__name__
    for kinds, meaning, advice in _MEANINGS:
        if isinstance(error, kinds):
            return meaning(f"Kafka: {text}{advice}")
    return NotConnected(f"no connection to Kafka: {text}")
