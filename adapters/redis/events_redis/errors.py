"""The client library's errors in the words of the core, translated once."""

from typing import Final

from redis import exceptions as foreign

from events_core.errors import (
    AccessRefused,
    BrokerSetupError,
    ConnectionLost,
    NotConnected,
    SendRejected,
    TopologyMismatch,
)
from events_core.ports import Edge, Meaning

__all__ = ["translate", "translated"]

_REFUSALS: Final = (foreign.AuthenticationError, foreign.AuthorizationError, foreign.NoPermissionError)
_PASSING: Final = (foreign.ReadOnlyError, foreign.ClusterDownError, foreign.TryAgainError)
_REPLY: Final = (foreign.ResponseError,)
_EDGE: Final = Edge(
    broker="Redis",
    meanings=(
        Meaning(_REFUSALS, AccessRefused, "; check user, password and permissions"),
        Meaning((foreign.AuthenticationWrongNumberOfArgsError,), AccessRefused, "; check user and password"),
        Meaning((foreign.OutOfMemoryError,), SendRejected, "; Redis cannot store it now: give it memory"),
        Meaning(_PASSING, NotConnected),
        # The library makes a class of some codes and cuts them off; the others stand in what the reply says.
        Meaning(
            _REPLY,
            ConnectionLost,
            "; the subscription was deleted on Redis",
            words=("NOGROUP", "UNBLOCKED", "no longer exists"),
        ),
        Meaning(
            _REPLY,
            TopologyMismatch,
            "; the key was not made by this library: delete it, or use a namespace",
            words=("WRONGTYPE",),
        ),
        Meaning(_REPLY, SendRejected, "; Redis cannot store it now: give it memory or disk", words=("OOM", "MISCONF")),
        Meaning(
            _REPLY,
            AccessRefused,
            "; check user and permissions",
            words=("WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password"),
        ),
        Meaning(
            _REPLY,
            NotConnected,
            words=("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS"),
        ),
        Meaning(_REPLY, BrokerSetupError),
    ),
)
translated: Final = _EDGE.translated
translate: Final = _EDGE.translate
