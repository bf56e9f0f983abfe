"""What every subscription wants, in a compacted topic: the key of a record is `<consumer>.<topic>|<type>`."""

import asyncio
from collections.abc import Collection
from typing import Final

from events_kafka.clients import Clients
from events_kafka.library import Record, partition_of
from events_kafka.publisher import Entry
from events_kafka.tail import Tail

__all__ = ["Registry", "entries_of"]

_WANTED: Final = b"wanted"


def entries_of(group: str, types: Collection[str], *, wanted: bool) -> list[Entry]:
    """The records that add types to a subscription, or take them out. A subscription itself is the type ''."""
    return [Entry(f"{group}|{name}".encode(), _WANTED if wanted else None) for name in sorted(types)]


class Registry:
    """Follows the topic from its beginning; each look reads on to its end."""

    def __init__(self, clients: Clients, topic: str) -> None:
        self._clients = clients
        self.topic = topic
        self._tail: Tail | None = None
        self._wanted: dict[str, set[str]] = {}
        self._turn = asyncio.Lock()
        self._stale = False

    async def types(self, group: str) -> set[str]:
        """What a subscription wants now; empty where there is none."""
        async with self._turn:
            if self._stale:
                await self._drop()
            try:
                await self._follow()
            except BaseException:
                await self._drop()
                raise
            return set(self._wanted.get(group, ()))

    def restart(self) -> None:
        """The topic was deleted: begin anew with the next look."""
        self._stale = True

    async def close(self) -> None:
        """Follow no more."""
        async with self._turn:
            await self._drop()

    async def _follow(self) -> None:
        if self._tail is None:
            self._tail = Tail(self._clients, self.topic)
            self._wanted.clear()
            self._stale = False
            await self._tail.open([partition_of(self.topic, 0)])
        await self._tail.to_end(self._take)

    def _take(self, record: Record) -> None:
        group, _, name = (record.key or b"").decode(errors="replace").rpartition("|")
        types = self._wanted.setdefault(group, set())
        if record.value is None:
            types.discard(name)
        else:
            types.add(name)

    async def _drop(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            await tail.close()
