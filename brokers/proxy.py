"""A TCP proxy that loses, delays and cuts what passes through it."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from brokers.ports import LOOPBACK, free_port

Mode: TypeAlias = Literal["pass", "hold", "drop"]
Direction: TypeAlias = Literal["up", "down"]
CHUNK: Final = 65_536
# Lingering for no time: closing sends a reset instead of a proper end.
RESET: Final = struct.pack("ii", 1, 0)


class FaultProxy:
    """Stands between clients and `host:port`, on a loopback port of its own; use it as `async with`.

    `up` (client to server) and `down` (server to client) say what happens to bytes, from now on and on every
    connection: "pass" forwards them, "hold" leaves them in the sender's way (back-pressure), "drop" swallows them.
    Unless bytes pass, the end of a connection does not get through either. `refuse = True` resets every new connection.
    Like everything on an event loop, it is not for other threads.

    Args:
        host: Of the server.
        port: Of the server.
        at: The port of its own, where clients have been told which; None picks a free one.
    """

    def __init__(self, host: str, port: int, *, at: int | None = None) -> None:
        self.port = at or free_port()
        self.refuse = False
        self.dropped: Counter[Direction] = Counter()
        """Bytes swallowed so far, by direction."""
        self._target = (host, port)
        self._modes: dict[Direction, Mode] = {"up": "pass", "down": "pass"}
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    @property
    def up(self) -> Mode:
        """What happens to bytes from client to server."""
        return self._modes["up"]

    @up.setter
    def up(self, mode: Mode) -> None:
        self._switch("up", mode)

    @property
    def down(self) -> Mode:
        """What happens to bytes from server to client."""
        return self._modes["down"]

    @down.setter
    def down(self, mode: Mode) -> None:
        self._switch("down", mode)

    @property
    def connections(self) -> int:
        """How many connections are open through it."""
        return len(self._links)

    def url(self, direct: str) -> str:
        """The broker's URL with the proxy's address in the place of the broker's."""
        parts = urlsplit(direct)
        credentials, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{credentials}{at}{LOOPBACK}:{self.port}").geturl()

    def reset(self) -> None:
        """Reset (RST) both sides of every connection at once: nothing passes any more. New ones are welcome."""
        for link in self._links:
            link.reset()

    async def __aenter__(self) -> Self:
        listener = socket.create_server((LOOPBACK, self.port))
        listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(listener))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        self.reset()
        await asyncio.gather(*self._serving)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                client, _ = await asyncio.get_running_loop().sock_accept(listener)
                serving = asyncio.create_task(self._serve(client))
                self._serving.add(serving)
                serving.add_done_callback(self._serving.discard)

    async def _serve(self, client: socket.socket) -> None:
        with client, socket.socket() as server:
            server.setblocking(False)
            link = _Link(client, server)
            self._links.add(link)
            try:
                if self.refuse:
                    link.reset()
                    return
                await asyncio.get_running_loop().sock_connect(server, self._target)
                await link.live(self._pump("up", client, server), self._pump("down", server, client))
            except OSError:
                link.reset()
            finally:
                self._links.discard(link)

    async def _pump(self, direction: Direction, source: socket.socket, target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._until(direction, "pass", "drop")
            chunk = await loop.sock_recv(source, CHUNK)
            if not chunk:
                break
            if await self._until(direction, "pass", "drop") == "drop":
                self.dropped[direction] += len(chunk)
            else:
                await loop.sock_sendall(target, chunk)
        await self._until(direction, "pass")
        with suppress(OSError):  # it may be gone already
            target.shutdown(socket.SHUT_WR)

    async def _until(self, direction: Direction, *modes: Mode) -> Mode:
        while self._modes[direction] not in modes:
            await self._changed.wait()
        return self._modes[direction]

    def _switch(self, direction: Direction, mode: Mode) -> None:
        self._modes[direction] = mode
        self._changed.set()
        self._changed = asyncio.Event()


class _Link:
    """One connection through the proxy."""

    def __init__(self, *ends: socket.socket) -> None:
        self._ends = ends
        self._pumps: list[asyncio.Task[None]] = []
        self._was_reset = False

    async def live(self, *pumps: Coroutine[None, None, None]) -> None:
        """Until both directions have ended; when one fails, both sides are reset."""
        self._pumps = [asyncio.create_task(pump) for pump in pumps]
        if self._was_reset:
            self.reset()
        finished, _ = await asyncio.wait(self._pumps, return_when=asyncio.FIRST_EXCEPTION)
        if any(pump.cancelled() or pump.exception() for pump in finished):
            self.reset()
            await asyncio.wait(self._pumps)

    def reset(self) -> None:
        """Stop both directions now; whoever owns the sockets closes them, which resets the connection."""
        self._was_reset = True
        for end in self._ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        for pump in self._pumps:
            pump.cancel()
