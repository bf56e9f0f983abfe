"""The client library's errors in the words of the core, translated once."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from hiredis import HiredisError
from redis import exceptions as foreign

from events_core.errors import (
    AccessRefused,
    BrokerSetupError,
    ConnectionLost,
    EventsError,
    NotConnected,
    SendRejected,
    TopologyMismatch,
)

__all__ = ["translate", "translated"]

_FOREIGN: Final = (
    foreign.RedisError,
    foreign.RedisClusterException,
    foreign.ChildDeadlockedError,
    foreign.IncorrectPolicyType,
    HiredisError,
    OSError,
    RuntimeError,
    ValueError,
)
_WORDS: Final[tuple[tuple[tuple[str, ...], type[EventsError], str], ...]] = (
    (("NOGROUP", "UNBLOCKED", "no longer exists"), ConnectionLost, "; the subscription was deleted on Redis"),
    (("WRONGTYPE",), TopologyMismatch, "; the key was not made by this library: delete it, or use a namespace"),
    (("OOM", "MISCONF"), SendRejected, "; Redis cannot store it now: give it memory or disk"),
    (("WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password"), AccessRefused, "; check user and permissions"),
    (("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS"), NotConnected, ""),
)
"""What an error reply says. The library cuts off the code of some, and makes it a class."""
_KINDS: Final[tuple[tuple[tuple[type[BaseException], ...], type[EventsError], str], ...]] = (
    ((ssl.SSLError,), AccessRefused, "; check the certificates, and that this port speaks TLS"),
    (
        (foreign.AuthenticationError, foreign.AuthorizationError, foreign.NoPermissionError),
        AccessRefused,
        "; check user, password and permissions",
    ),
    ((foreign.AuthenticationWrongNumberOfArgsError,), AccessRefused, "; check user and password"),
    ((foreign.OutOfMemoryError,), SendRejected, "; Redis cannot store it now: give it memory"),
    ((foreign.ReadOnlyError, foreign.ClusterDownError, foreign.TryAgainError), NotConnected, ""),
)
"""The first that fits, then the words of a reply; what is none of these is a lost connection."""


@asynccontextmanager
async def translated(timeout: float | None) -> AsyncGenerator[None, None]:
    """End in time, and raise nothing but the core's errors."""
    try:
        async with asyncio.timeout(timeout):
            yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise NotConnected("the connection to Redis broke") from error
    except TimeoutError as error:
        raise NotConnected(f"Redis did not answer within {timeout:g} s") from error
    except EventsError:
        raise
    except _FOREIGN as error:
        raise translate(error) from error


def translate(error: Exception) -> EventsError:
    """What a foreign error means to the caller. Texts are Redis's; a URL, and so a password, is in none of them."""
    text = str(error) or type(error).__name__
    for each in _chain(error):
        for kinds, meaning, advice in _KINDS:
            if isinstance(each, kinds):
                return meaning(f"Redis: {text}{advice}")
    if not isinstance(error, foreign.ResponseError):
        return NotConnected(f"no connection to Redis: {text}")
    for words, meaning, advice in _WORDS:
        if any(word in text for word in words):
            return meaning(f"Redis: {text}{advice}")
    return BrokerSetupError(f"Redis: {text}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
