"""A connection that calls share: what is asked for in one turn of the event loop is one write."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, cast

import hiredis
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from events_core.errors import ConfigurationError, EventsError, NotConnected, OutcomeUnknown, SendRejected
from events_redis.errors import translate, translated
from events_redis.scripts import Script

__all__ = ["CLOSED", "Dial", "Line", "Reply", "pack"]

_GOODBYE: Final = 1.0
"""Seconds that the other side has to take note of the end of a connection."""
_STEP: Final = 1024 * 1024
"""Bytes."""
_QUOTED: Final = re.compile(r"'(\w+)'")
CLOSED: Final = "the Redis transport was closed"

Reply = Any
"""Bytes, a number, None, a list of these; or, in answers to `call`, the error that Redis replied."""
Argument = str | bytes | int


def pack(*arguments: Argument) -> bytes:
    """A command as it is written."""
    return cast("bytes", hiredis.pack_command(cast("Any", arguments)))  # pyright: ignore[reportUnknownMemberType]


_MULTI: Final = pack("MULTI")
_EXEC: Final = pack("EXEC")


class Dial:
    """How to connect. Nothing is ever tried twice by the library: what it sends again, Redis stores twice."""

    def __init__(self, url: str, timeout: float) -> None:
        self.timeout: float = timeout
        self._hanging_up: set[asyncio.Task[None]] = set()
        try:
            told: dict[str, Any] = {**parse_url(url), "protocol": 2, "decode_responses": False, "retry": None}
            self._kind: Callable[..., AbstractConnection] = told.pop("connection_class", Connection)
            self._options = told | {
                "socket_timeout": None,
                "socket_connect_timeout": timeout,
                "redis_connect_func": _greet,
            }
            self._kind(**self._options)
        except (TypeError, ValueError, RedisError) as error:
            # The library names what it does not know, and no value.
            named = ", ".join(_QUOTED.findall(str(error)))
            raise ConfigurationError(
                f"the query of the Redis URL says {named}: no such setting, or no such value"
            ) from None

    async def __call__(self) -> AbstractConnection:
        """A new connection, with `NotConnected` or `AccessRefused`."""
        connection = self._kind(**self._options)
        try:
            async with translated(self.timeout):
                # The library does not annotate it.
                await cast("Callable[[], Awaitable[None]]", connection.connect)()
        except BaseException:
            await _hang_up(connection)
            raise
        return connection

    def hang_up(self, connection: AbstractConnection) -> None:
        """Disconnect, whatever is on its way."""
        task = asyncio.create_task(_hang_up(connection))
        self._hanging_up.add(task)
        task.add_done_callback(self._hanging_up.discard)

    async def ended(self) -> None:
        """Return when every connection that was hung up is closed, or does not want to."""
        await asyncio.gather(*self._hanging_up)


async def _greet(connection: AbstractConnection) -> None:
    transport: asyncio.Transport = cast("Any", connection)._writer.transport  # noqa: SLF001
    try:
        await connection.on_connect()
    except BaseException:
        # The library lets go of a connection over TLS that it only began to close.
        transport.abort()
        raise


async def _hang_up(connection: AbstractConnection) -> None:
    with suppress(Exception):
        async with asyncio.timeout(_GOODBYE):
            await connection.disconnect()


async def _hear(connection: AbstractConnection) -> Reply:
    """The next reply. What Redis refuses is an answer; only a broken connection is raised."""
    try:
        return cast("Reply", await connection.read_response(disable_decoding=True, disconnect_on_error=False))
    except (ResponseError, AuthenticationError, AuthorizationError, BusyLoadingError) as refusal:
        return refusal


@dataclass(slots=True, eq=False)
class _Call:
    commands: Sequence[bytes]
    answer: asyncio.Future[list[Reply]]
    replies: list[Reply] = field(default_factory=list[Reply])

    def fail(self, error: EventsError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Line:
    """Any number of calls on one connection, dialled when it is needed. Its end is noticed while nobody calls.

    `overhear` takes what is no reply, and says so; `lost` is told why a connection broke.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        overhear: Callable[[Reply], bool] = lambda _: False,
        lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.dial: Dial = dial
        self._overhear = overhear
        self._lost = lost
        self._connection: AbstractConnection | None = None
        self._waiting: list[_Call] = []
        self._unanswered: deque[_Call] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._closed = True

    async def open(self) -> None:
        """Connect. Errors as in `ask`."""
        self._closed = False
        try:
            await self.ask("PING")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; what is on its way has an unknown outcome."""
        self._closed = True
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        self._break(CLOSED)

    async def call(self, commands: Sequence[bytes]) -> list[Reply]:
        """The replies to these commands, errors included.

        Raises:
            NotConnected: nothing was written. Other errors of connecting too.
            OutcomeUnknown: the connection broke, or no answer came in time.
        """
        if self._closed:
            raise NotConnected("the Redis transport is not open")
        if not commands:
            return []
        call = _Call(commands, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        try:
            async with asyncio.timeout(self.dial.timeout):
                return await call.answer
        except TimeoutError as error:
            reason = f"Redis did not answer within {self.dial.timeout:g} s"
            if call in self._waiting:
                self._waiting.remove(call)
                raise NotConnected(reason) from error
            self._break(reason)
            raise OutcomeUnknown(reason) from error

    async def ask(self, *arguments: Argument) -> Reply:
        """The reply to one command. Raises what Redis refuses, and `NotConnected` for whatever broke."""
        try:
            (reply,) = await self.call([pack(*arguments)])
        except OutcomeUnknown as error:
            raise NotConnected(str(error)) from error
        if isinstance(reply, Exception):
            raise translate(reply) from reply
        return reply

    async def run(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Reply:
        """What a script returns. Errors as in `ask`."""
        try:
            return await self.ask("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except EventsError as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        return await self.ask("EVAL", script.text, len(keys), *keys, *arguments)

    async def send(self, commands: Sequence[bytes]) -> list[EventsError | None]:
        """Send an event with each command; what became of it, as `publish` of a transport says."""
        try:
            replies = await self.call(commands)
        except EventsError as error:
            replies = [error] * len(commands)
        return [_outcome(reply) for reply in replies]

    async def store(self, commands: Sequence[bytes]) -> list[EventsError | None]:
        """The same in few steps: each is written to disk once, and an error of one command may be the answer to all."""
        if len(commands) == 1:
            return await self.send(commands)
        steps = [*_steps(commands)]
        try:
            replies = iter(await self.call([each for step in steps for each in (_MULTI, *step, _EXEC)]))
        except EventsError as error:
            return [_outcome(error) for _ in commands]
        outcomes: list[EventsError | None] = []
        for step in steps:
            said = [*islice(replies, len(step) + 2)]
            refusal = next((each for each in said if isinstance(each, Exception)), None)
            done: list[Reply] = said[-1] if refusal is None else [refusal] * len(step)
            outcomes += [_outcome(each) for each in done]
        return outcomes

    async def _write(self) -> None:
        while self._waiting:
            try:
                connection = await self._connected()
                calls, self._waiting = self._waiting, []
                self._unanswered += calls
                async with translated(self.dial.timeout):
                    written = b"".join(command for call in calls for command in call.commands)
                    await connection.send_packed_command(written, check_health=False)
            except EventsError as error:
                self._break(str(error), error)

    async def _connected(self) -> AbstractConnection:
        if self._connection is None:
            self._connection = await self.dial()
            self._listening = asyncio.create_task(self._listen(self._connection))
        return self._connection

    async def _listen(self, connection: AbstractConnection) -> None:
        try:
            async with translated(None):
                while True:
                    reply = await _hear(connection)
                    if not self._overhear(reply):
                        self._answer(reply)
        except EventsError as error:
            self._break(str(error))

    def _answer(self, reply: Reply) -> None:
        call = self._unanswered[0]
        call.replies.append(reply)
        if len(call.replies) == len(call.commands):
            self._unanswered.popleft()
            if not call.answer.done():
                call.answer.set_result(call.replies)
        if isinstance(reply, ReadOnlyError):
            # After a fail-over the name leads elsewhere.
            raise translate(reply)

    def _break(self, reason: str, failure: EventsError | None = None) -> None:
        """Hang up. What was written has an unknown outcome, what was not fails."""
        connection, self._connection = self._connection, None
        if self._listening is not None:
            self._listening.cancel()
        for call in self._unanswered:
            call.fail(OutcomeUnknown(reason))
        self._unanswered.clear()
        if failure is not None or self._closed:
            for call in self._waiting:
                call.fail(failure or NotConnected(reason))
            self._waiting.clear()
        if connection is not None:
            self.dial.hang_up(connection)
            self._lost(reason)


def _steps(commands: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Redis holds a step in memory until it is complete."""
    start = size = 0
    for end, command in enumerate(commands, 1):
        size += len(command)
        if size >= _STEP or end == len(commands):
            yield commands[start:end]
            start, size = end, 0


def _outcome(reply: Reply) -> EventsError | None:
    if not isinstance(reply, Exception):
        return None
    error = reply if isinstance(reply, EventsError) else translate(reply)
    kind = type(error) if isinstance(error, NotConnected | OutcomeUnknown) else SendRejected
    result = kind(str(error))
    result.__cause__ = reply
    return result
