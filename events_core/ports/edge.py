"""The edge of an adapter, where what its client library does becomes what the core knows."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from events_core.errors import AccessRefused, EventsError, NotConnected

__all__ = ["Edge", "Meaning"]

_CERTIFICATES: Final = "; check the certificates, and that this port speaks TLS"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What errors of these kinds mean, and what to do about it.

    With `words`, only of an error whose text contains one of them.
    """

    kinds: tuple[type[Exception], ...]
    error: type[EventsError]
    advice: str = ""
    words: tuple[str, ...] = ()

    def fits(self, error: BaseException, text: str) -> bool:
        """Whether it is the meaning of this error with this text."""
        return isinstance(error, self.kinds) and (not self.words or any(each in text for each in self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Every call of a broker's client library stands in `async with edge.translated(timeout)`.

    Args:
        broker: Its name, for messages.
        meanings: The first that fits counts; what is none of these is a lost connection, which passes. That a
            certificate is not trusted need not be among them.
        words: The text of an error. It is shown: neither a URL nor a password may be in it.
        lost: What no answer in time, and a lost connection, mean.
    """

    broker: str
    meanings: tuple[Meaning, ...]
    words: Callable[[BaseException], str] = str
    lost: type[EventsError] = NotConnected

    @asynccontextmanager
    async def translated(self, timeout: float | None) -> AsyncGenerator[None, None]:
        """End within so many seconds (None: the caller sees to it), and raise nothing but the core's errors.

        Client libraries cancel what waits for a lost connection: a `CancelledError` that nobody asked for is such a loss.

        Raises:
            NotConnected: no answer in time, or the connection broke; or whatever `lost` says.
            EventsError: what a foreign error means. It is the cause.
        """
        try:
            async with asyncio.timeout(timeout):
                yield
        except asyncio.CancelledError as error:
            if _asked_for():
                raise
            raise self.lost(f"the connection to {self.broker} broke") from error
        except EventsError:
            raise
        except Exception as error:
            # Not only the library's own kinds: it raises bare KeyErrors and assertions where a connection vanishes.
            if isinstance(error, TimeoutError) and timeout is not None:
                raise self.lost(f"{self.broker} did not answer within {timeout:g} s") from error
            raise self.translate(error) from error

    def translate(self, error: BaseException) -> EventsError:
        """What a foreign error means to the caller."""
        text = self.words(error) or type(error).__name__
        if any(isinstance(each, ssl.SSLError) for each in _with_causes(error)):
            return AccessRefused(f"{self.broker}: {text}{_CERTIFICATES}")
        for meaning in self.meanings:
            if meaning.fits(error, text):
                return meaning.error(f"{self.broker}: {text}{meaning.advice}")
        return self.lost(f"no connection to {self.broker}: {text}")


def _asked_for() -> bool:
    """Whether somebody cancelled the current task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _with_causes(error: BaseException | None) -> Sequence[BaseException]:
    chain: list[BaseException] = []
    # An error that is raised again and again may be the cause of its own cause.
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
