"""What waits for one screen. It is bounded: who does not read must not fill the memory, nor make others wait."""

import asyncio
from collections import deque
from typing import Final

ROOM_FOR: Final = 200
"""Messages. Whoever is so far behind is cut off, and may come again."""


class Mailbox:
    """Messages to one screen, in order. Putting one in never waits."""

    def __init__(self, room_for: int = ROOM_FOR) -> None:
        self._room_for = room_for
        self._waiting: deque[str] = deque()
        self._arrived = asyncio.Event()
        self._overflowed = asyncio.Event()

    def put(self, message: str) -> None:
        """Take it, unless there is no room any more: then the mailbox has overflowed for good."""
        if len(self._waiting) >= self._room_for:
            self._overflowed.set()
            return
        self._waiting.append(message)
        self._arrived.set()

    async def take(self) -> str:
        """Wait for the next."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    async def overflow(self) -> None:
        """Return when a message found no room."""
        await self._overflowed.wait()
