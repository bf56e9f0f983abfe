"""Somebody with a socket instead of a page: plays a part in the demonstration."""

import asyncio
from typing import Any, Self
from urllib.parse import quote

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 30.0  # seconds


class Visitor:
    """A connection to a room of a server, and everything that it was shown."""

    def __init__(self, name: str, socket: ClientConnection) -> None:
        self.name = name
        self.seen: list[dict[str, Any]] = []
        self._socket = socket
        self._saw = asyncio.Condition()
        self._watching = asyncio.create_task(self._watch())

    @classmethod
    async def enter(cls, server: str, room: str, name: str) -> Self:
        """Connect, and return when the arrival is seen."""
        url = f"{server.replace('http', 'ws', 1)}/rooms/{room}?name={quote(name)}"
        visitor = cls(name, await connect(url, proxy=None, open_timeout=PATIENCE))
        await visitor.sees("chat.joined", name=name)
        return visitor

    async def say(self, text: str) -> None:
        await self.write(msgspec.json.encode({"say": text}).decode())

    async def write(self, frame: str | bytes) -> None:
        """Send something, whatever it is."""
        await self._socket.send(frame)

    async def sees(self, kind: str, **fields: str) -> dict[str, Any]:
        """Wait until something of this kind was shown, `TimeoutError` after 30 s."""

        def found() -> dict[str, Any] | None:
            return next((each for each in self.seen if {"type": kind, **fields}.items() <= each.items()), None)

        async with asyncio.timeout(PATIENCE), self._saw:
            await self._saw.wait_for(lambda: found() is not None)
        return found() or {}

    def saw_of_others(self) -> list[dict[str, Any]]:
        return [each for each in self.seen if each.get("name", self.name) != self.name]

    async def leave(self) -> None:
        """Say goodbye; what was seen stays."""
        await self._socket.close()
        await self._watching

    async def vanish(self) -> None:
        """Go without a word, as when a cable is cut."""
        self._socket.transport.abort()
        await self._watching

    async def _watch(self) -> None:
        try:
            async for frame in self._socket:
                async with self._saw:
                    self.seen.append(msgspec.json.decode(frame))
                    self._saw.notify_all()
        except ConnectionClosed:
            return
