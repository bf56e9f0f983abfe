"""The client library's errors in the words of the core, translated once."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from aiormq import exceptions as foreign
from pamqp.exceptions import PAMQPException

from events_core.errors import AccessRefused, EventsError, NotConnected, TopologyMismatch, UnsafeBroker

__all__ = ["NotThere", "translate", "translated"]


class NotThere(TopologyMismatch):
    """An object that this call needs is not on the broker."""


_ANYTHING: Final = ("",)
_NOT_DURABLE: Final = ("'x-queue-type'", "'durable'", "feature flag")
"""In the broker's words: the queue that is there, or the only kind it can make, does not keep what it confirmed."""
_MEANINGS: Final[tuple[tuple[tuple[type[Exception], ...], tuple[str, ...], type[EventsError], str], ...]] = (
    ((ssl.SSLError,), _ANYTHING, AccessRefused, "; check the certificates, and that this port speaks TLS"),
    (
        (foreign.ProbableAuthenticationError, foreign.AuthenticationError, foreign.ChannelAccessRefused),
        _ANYTHING,
        AccessRefused,
        "; check user, password and permissions",
    ),
    ((foreign.ConnectionNotAllowed,), _ANYTHING, AccessRefused, "; check the virtual host"),
    (
        (foreign.ChannelPreconditionFailed, foreign.ConnectionInternalError, foreign.ConnectionNotImplemented),
        _NOT_DURABLE,
        UnsafeBroker,
        "; subscriptions need durable quorum queues: delete the queue, or upgrade",
    ),
    (
        (foreign.ChannelPreconditionFailed, foreign.ChannelLockedResource),
        _ANYTHING,
        TopologyMismatch,
        "; it was not made by this library, which needs durable quorum queues: delete it when empty, or use a namespace",
    ),
    ((foreign.ChannelNotFoundEntity,), _ANYTHING, NotThere, ""),
)
"""The first that fits. What is none of these is a lost connection, and passes."""


@asynccontextmanager
async def translated(timeout: float) -> AsyncGenerator[None, None]:
    """End in time, and raise nothing but the core's errors.

    The library cancels what waits for a lost connection: a `CancelledError` that nobody asked for is such a loss.
    """
    try:
        async with asyncio.timeout(timeout):
            yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise NotConnected("the connection to RabbitMQ broke") from error
    except TimeoutError as error:
        raise NotConnected(f"RabbitMQ did not answer within {timeout:g} s") from error
    except EventsError:
        raise
    except (foreign.AMQPError, PAMQPException, OSError, RuntimeError, ValueError, TypeError) as error:
        raise translate(error) from error


def translate(error: Exception) -> EventsError:
    """What a foreign error means to the caller. Texts are the broker's; a URL, and so a password, is in none of them."""
    text = _words_of(error)
    for kinds, words, meaning, advice in _MEANINGS:
        if isinstance(error, kinds) and any(each in text for each in words):
            return meaning(f"RabbitMQ: {text}{advice}")
    return NotConnected(f"no connection to RabbitMQ: {text}")


def _words_of(error: Exception) -> str:
    return " ".join(str(part) for part in error.args if part is not None) or type(error).__name__
