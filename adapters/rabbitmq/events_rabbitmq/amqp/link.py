"""Connections: dialled when needed, one at a time, and given up when they break."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import aio_pika
from aio_pika.abc import ConnectionParameter
from aiormq.abc import AbstractChannel
from yarl import URL

from events_core.errors import AccessRefused, EventsError, NotConnected, UnsafeBroker
from events_rabbitmq.amqp.frames import Lane, Tap
from events_rabbitmq.errors import translated
from events_rabbitmq.settings import RabbitMQSettings

__all__ = ["Line", "Link"]

_NOT_ALLOWED: Final = "530 "
_FRAME_MAX: Final = 131_072
"""Bytes of a frame where the broker sets no limit: what others agree on."""
_LAST_WORDS: Final = 1.0
"""Seconds in which the library has to notice that a connection was dropped."""
_OLDEST: Final = (3, 10)
"""RabbitMQ's first version whose quorum queues dead-letter at least once, as waiting retries need it."""


class _Connection(aio_pika.Connection):
    """aio-pika's own, told to hand the transport factory on to aiormq."""

    PARAMETERS: tuple[ConnectionParameter, ...] = (
        *aio_pika.Connection.PARAMETERS,
        ConnectionParameter(name="transport_factory", parser=lambda given: given, is_kwarg=True),
    )


class Link:
    """One connection, until it breaks."""

    def __init__(self, connection: aio_pika.Connection, tap: Tap, *, timeout: float) -> None:
        if connection.transport is None or tap.splitter is None:
            raise NotConnected("the connection to RabbitMQ broke")
        self._client = connection.transport.connection
        self._connection = connection
        self._splitter = tap.splitter
        self._lanes: dict[AbstractChannel, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.timeout: float = timeout
        self.frame_max: int = self._client.connection_tune.frame_max or _FRAME_MAX
        self._client.closing.add_done_callback(self._broke)  # pyright: ignore[reportUnknownMemberType] theirs is untyped

    @property
    def ended(self) -> str | None:
        """Why it is over."""
        return self._splitter.ended

    @property
    def blocked(self) -> bool:
        """Whether the broker takes no messages on it for now."""
        return self._splitter.blocked

    async def channel(self, lane: Lane | None = None, *, confirms: bool = False) -> AbstractChannel:
        """A new channel; its messages go to the lane. To be closed by `close_channel`."""
        async with translated(self.timeout):
            if self.ended is not None:
                raise NotConnected(self.ended)
            channel = await self._client.channel(publisher_confirms=confirms)
        if lane is not None:
            self._lanes[channel] = lane
            self._splitter.attach(channel.number, lane)
        return channel

    @asynccontextmanager
    async def opening(self, lane: Lane) -> AsyncGenerator[AbstractChannel, None]:
        """A new channel that is set up in the block, and closed again where that fails."""
        channel = await self.channel(lane)
        try:
            async with translated(self.timeout):
                yield channel
        except BaseException:
            self.later(self.close_channel(channel))
            raise

    async def close_channel(self, channel: AbstractChannel) -> None:
        """Close it; what it held unsettled goes back. Says nothing of a connection that broke meanwhile."""
        with suppress(EventsError):
            async with translated(self.timeout):
                await channel.close()
        if (lane := self._lanes.pop(channel, None)) is not None:
            self._splitter.detach(channel.number, lane)

    def write(self, frames: Sequence[bytes]) -> None:
        """Write whole frames."""
        self._splitter.write(frames)

    def later(self, work: Coroutine[object, object, None]) -> None:
        """Run it in a task of this link."""
        self._tasks.add(self._begin(work))

    async def room(self) -> None:
        """Wait until the broker keeps up with what was written; `NotConnected` when it does not in time."""
        async with translated(self.timeout):
            await self._splitter.room()

    async def close(self) -> None:
        """Say goodbye, within the timeout; then drop the connection anyway."""
        self._splitter.end("the connection was closed")
        goodbye = self._begin(self._say_goodbye())
        self._tasks.add(goodbye)
        try:
            # Not a timeout around it: the library does not end when it is cancelled while bytes are unsent.
            await asyncio.wait([goodbye], timeout=self.timeout)
        finally:
            self._splitter.abort()
        await asyncio.wait([goodbye], timeout=_LAST_WORDS)

    def check_version(self) -> None:
        """Refuse, with `UnsafeBroker`, a RabbitMQ that may lose waiting retries."""
        version = str(self._client.server_properties.get("version", ""))
        numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdecimal())
        if numbers and numbers < _OLDEST:
            raise UnsafeBroker(f"RabbitMQ {version} may lose retries that wait; upgrade to 3.10 or later")

    def _begin(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name="events-core RabbitMQ")
        task.add_done_callback(self._tasks.discard)
        return task

    async def _say_goodbye(self) -> None:
        with suppress(EventsError):
            async with translated(self.timeout):
                await self._connection.close()

    def _broke(self, _: object) -> None:
        self._splitter.end("the connection to RabbitMQ broke")
        self._splitter.abort()
        # One that was never closed would be closed by its destructor, whenever that comes.
        self.later(self._say_goodbye())


class Line:
    """The way to the broker for one purpose. Has a link when one is needed."""

    def __init__(self, address: URL, settings: RabbitMQSettings, purpose: str) -> None:
        self._address = address
        self._settings = settings
        self._purpose = purpose
        self._link: Link | None = None
        self._dialling: asyncio.Task[Link] | None = None

    async def link(self) -> Link:
        """The link there is, or a new one; who asks while one is dialled gets the same answer.

        Raises:
            NotConnected: the broker cannot be reached.
            BrokerSetupError: it refuses us, or is too old.
        """
        if self._link is not None and self._link.ended is None:
            return self._link
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_task(self._dial(), name=f"RabbitMQ {self._purpose}")
            self._dialling.add_done_callback(self._dialled)
        async with translated(2 * self._settings.timeout):
            return await asyncio.shield(self._dialling)

    async def close(self) -> None:
        """Give up the link, and the dialling of one."""
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait([self._dialling], timeout=self._settings.timeout)
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _dial(self) -> Link:
        settings = self._settings
        tap = Tap()
        connection = _Connection(
            self._address,
            ssl_context=settings.ssl_context,
            client_properties={"connection_name": f"{socket.gethostname()}:{os.getpid()} {self._purpose}"},
            transport_factory=tap,
        )
        try:
            async with translated(settings.timeout):
                await connection.connect()
            link = Link(connection, tap, timeout=settings.timeout)
            link.check_version()
        except BaseException as error:
            told = await _drop(connection, tap, settings.timeout)
            if isinstance(error, NotConnected) and told.startswith(_NOT_ALLOWED):
                # The library takes this answer for a broken protocol.
                raise AccessRefused(f"RabbitMQ: {told}; check the virtual host") from error
            raise
        self._link = link
        return link

    def _dialled(self, dialling: "asyncio.Task[Link]") -> None:
        self._dialling = None
        if not dialling.cancelled():
            dialling.exception()  # whoever asked was told


async def _drop(connection: aio_pika.Connection, tap: Tap, timeout: float) -> str:
    """Give up a connection that was not made; the broker's words, if it had any."""
    if tap.splitter is not None:
        tap.splitter.abort()
    with suppress(EventsError):
        async with translated(timeout):
            await connection.close()
    return (tap.splitter and tap.splitter.ended) or ""
