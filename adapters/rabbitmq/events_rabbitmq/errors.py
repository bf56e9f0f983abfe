"""The client library's errors in the words of the core, translated once."""

from typing import Final

from aiormq import exceptions as foreign

from events_core.errors import AccessRefused, TopologyMismatch, UnsafeBroker
from events_core.ports import Edge, Meaning

__all__ = ["NotThere", "translate", "translated"]


class NotThere(TopologyMismatch):
    """An object that this call needs is not on the broker."""


def _words_of(error: BaseException) -> str:
    """The broker's number and its text, which the library keeps side by side."""
    return " ".join(str(part) for part in error.args if part is not None)


_REFUSALS: Final = (foreign.ProbableAuthenticationError, foreign.AuthenticationError, foreign.ChannelAccessRefused)
_EDGE: Final = Edge(
    broker="RabbitMQ",
    words=_words_of,
    meanings=(
        Meaning(_REFUSALS, AccessRefused, "; check user, password and permissions"),
        Meaning((foreign.ConnectionNotAllowed,), AccessRefused, "; check the virtual host"),
        # The queue that is there, or the only kind that the broker can make, does not keep what it confirmed.
        Meaning(
            (foreign.ChannelPreconditionFailed, foreign.ConnectionInternalError, foreign.ConnectionNotImplemented),
            UnsafeBroker,
            "; subscriptions need durable quorum queues: delete the queue, or upgrade",
            words=("'x-queue-type'", "'durable'", "feature flag"),
        ),
        Meaning(
            (foreign.ChannelPreconditionFailed, foreign.ChannelLockedResource),
            TopologyMismatch,
            "; it was not made by this library, which needs durable quorum queues: delete it when empty, or use a namespace",
        ),
        Meaning((foreign.ChannelNotFoundEntity,), NotThere),
    ),
)
translated: Final = _EDGE.translated
translate: Final = _EDGE.translate
