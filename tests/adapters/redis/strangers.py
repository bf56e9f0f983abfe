"""What others do to a Redis, with redis-py and nothing of ours."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from events_core.ports import Topic

__all__ = ["ANSWERS_WITHIN", "Client", "Entry", "ask", "connected", "entries", "heard", "pending", "stream_of"]

ANSWERS_WITHIN = 10.0


class PubSub(Protocol):
    """What is used of redis-py's subscriber."""

    async def subscribe(self, *channels: str) -> None: ...
    async def get_message(self, *, ignore_subscribe_messages: bool, timeout: float) -> Mapping[str, object] | None: ...


class Client(Protocol):
    """What is used of redis-py's client."""

    async def execute_command(self, *words: str | bytes | int) -> object: ...
    def pubsub(self) -> PubSub: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream."""

    id: str
    fields: Mapping[str, bytes]


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Client]:
    """A client of its own, that asks once."""
    client = Redis.from_url(url, retry=Retry(NoBackoff(), 0))  # pyright: ignore[reportUnknownMemberType]
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            yield cast("Client", client)
    finally:
        await client.aclose()


async def ask(url: str, *words: str | bytes | int) -> object:
    """The answer to one command."""
    async with connected(url) as client:
        return await client.execute_command(*words)


def stream_of(topic: Topic) -> str:
    """The name of its stream."""
    return f"{{{topic.name}}}"


async def entries(url: str, topic: Topic) -> list[Entry]:
    """All that its stream holds, oldest first."""
    found = cast("list[tuple[bytes, dict[bytes, bytes]]]", await ask(url, "XRANGE", stream_of(topic), "-", "+"))
    return [Entry(id.decode(), {name.decode(): value for name, value in fields.items()}) for id, fields in found]


async def pending(url: str, topic: Topic, group: str) -> int:
    """How many entries of its stream members of the group hold."""
    script = "return redis.call('XPENDING', KEYS[1], ARGV[1])[1]"
    return cast("int", await ask(url, "EVAL", script, 1, stream_of(topic), group))


async def heard(subscriber: PubSub) -> bytes:
    """What is published next."""
    async with asyncio.timeout(ANSWERS_WITHIN):
        while (message := await subscriber.get_message(ignore_subscribe_messages=True, timeout=1.0)) is None:
            pass
    return cast("bytes", message["data"])
