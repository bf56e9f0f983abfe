"""Reads that block, on a connection of their own."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection

from events_core.errors import ConnectionLost, EventsError
from events_core.ports import Delivery
from events_redis.errors import translate, translated
from events_redis.line import Line, Reply, hear, pack

__all__ = ["BLOCK_MS", "Ongoing", "Reader"]

BLOCK_MS: Final = 500
"""For so long a read waits: where it cannot be interrupted, a reader that is told to stop is done within these."""


class Reader:
    """A connection with one read at a time, that is answered within `patience` seconds, or the usual timeout."""

    def __init__(self, line: Line, patience: float = math.inf) -> None:
        self._line = line
        self._patience = min(line.dial.timeout, patience) + BLOCK_MS / 1000
        self._connection: AbstractConnection | None = None
        self._id = 0

    async def open(self) -> None:
        """Connect, with `NotConnected` or `AccessRefused`."""
        self._connection = await self._line.dial()
        with suppress(ConnectionLost):
            self._id = int(await self.ask("CLIENT", "ID"))

    async def ask(self, *arguments: str | bytes | int) -> Reply:
        """The reply to a command. Raises `ConnectionLost`, also for what Redis refuses."""
        if self._connection is None:
            raise ConnectionLost("the connection to Redis was closed")
        try:
            async with translated(self._patience):
                await self._connection.send_packed_command(pack(*arguments), check_health=False)
                reply = await hear(self._connection)
        except EventsError as error:
            raise ConnectionLost(str(error)) from error
        if isinstance(reply, Exception):
            raise ConnectionLost(str(translate(reply))) from reply
        return reply

    async def interrupt(self) -> None:
        """End a read that waits, where Redis permits it."""
        with suppress(EventsError):
            await self._line.ask("CLIENT", "UNBLOCK", self._id)

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._line.dial.hang_up(connection)


class Ongoing:
    """A read that goes on when whoever asked for it is cancelled: the next one gets what it brings."""

    def __init__(self, read: Callable[[int], Coroutine[Any, Any, Sequence[Delivery]]]) -> None:
        self._read = read
        self._task: asyncio.Task[Sequence[Delivery]] | None = None

    async def bring(self, limit: int) -> Sequence[Delivery]:
        """What was read; empty where somebody else took it, or there was nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._read(limit))
            self._task.add_done_callback(_note)
        task = self._task
        await asyncio.wait([task])
        return self._take(task)

    async def withdraw(self, interrupt: Callable[[], Coroutine[Any, Any, None]]) -> Sequence[Delivery]:
        """The last that is read, without waiting for anything new."""
        task = self._task
        if task is None:
            return ()
        if not task.done():
            await interrupt()
            await asyncio.wait([task])
        return self._take(task)

    def cancel(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    def _take(self, task: asyncio.Task[Sequence[Delivery]]) -> Sequence[Delivery]:
        if task is not self._task or task.cancelled():
            return ()
        self._task = None
        return task.result()


def _note(task: asyncio.Task[Sequence[Delivery]]) -> None:
    """Its error is known, even where nobody takes what it brings."""
    if not task.cancelled():
        task.exception()
