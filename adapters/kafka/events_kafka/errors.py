"""The client library's errors in the words of the core, translated once."""

from typing import Final

from aiokafka import errors as foreign  # type: ignore[import-untyped]

from events_core.errors import AccessRefused, SendRejected, SubscriptionNotEmpty, TopologyMismatch
from events_core.ports import Edge, Meaning

__all__ = ["TOO_LARGE", "translate", "translated"]

TOO_LARGE: Final[tuple[type[Exception], ...]] = (
    foreign.MessageSizeTooLargeError,
    foreign.RecordListTooLargeError,
    foreign.RecordTooLargeError,
)
_REFUSALS: Final[tuple[type[Exception], ...]] = (
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
)
_MISMATCHES: Final[tuple[type[Exception], ...]] = (
    foreign.InconsistentGroupProtocolError,
    foreign.InvalidConfigurationError,
    foreign.InvalidPartitionsError,
    foreign.InvalidReplicationAssignmentError,
    foreign.InvalidSessionTimeoutError,
    foreign.InvalidTopicError,
    foreign.PolicyViolationError,
    foreign.UnsupportedForMessageFormatError,
    foreign.UnsupportedVersionError,
    foreign.IncompatibleBrokerVersion,
    foreign.UnrecognizedBrokerVersion,
)
_EDGE: Final = Edge(
    broker="Kafka",
    meanings=(
        Meaning(_REFUSALS, AccessRefused, "; check user, password, mechanism and permissions"),
        Meaning((foreign.NonEmptyGroup,), SubscriptionNotEmpty, "; it is being consumed: stop these processes"),
        Meaning(_MISMATCHES, TopologyMismatch),
        Meaning(TOO_LARGE, SendRejected, "; raise max.message.bytes of the topic"),
    ),
)
translated: Final = _EDGE.translated
translate: Final = _EDGE.translate
