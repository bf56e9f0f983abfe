"""The bus on Redis Streams beside plain redis-py: the same server, the same events, confirmed and settled.

Run it on a quiet machine: `python -m benchmarks.redis`. It starts a broker of its own on this machine, which shares the cores
with it and writes every confirmed event to disk (`appendfsync always`). Each round measures every variant once, one after the
other; the medians are compared. All encode and decode with msgspec; publishing keeps 500 sends in flight, consuming holds 100
deliveries.
"""

import asyncio
from typing import Final, Protocol, cast

import msgspec
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Plain

from benchmarks.measuring import EVENTS, ROUNDS, TEXT, WINDOW, Bare, Cost, concurrently, show, with_bus
from brokers import open_broker
from events_redis import RedisEventBus

CONNECTIONS: Final = 100
STREAM: Final = "plain"

Entry = tuple[bytes, dict[bytes, bytes]]


class Client(Protocol):
    """What is used of redis-py."""

    async def execute_command(self, *words: str | bytes | int) -> list[tuple[bytes, list[Entry]]]: ...
    async def aclose(self) -> None: ...


async def with_redis_py(url: str, sending: Cost, consuming: Cost, *, together: bool) -> None:
    """With an XACK a read, or one an event."""
    encode = msgspec.json.Encoder().encode
    pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS)  # pyright: ignore[reportUnknownMemberType]
    client = cast("Client", Plain(connection_pool=pool))
    await client.execute_command("XGROUP", "CREATE", STREAM, "plain", "$", "MKSTREAM")

    async def send(number: int) -> None:
        await client.execute_command("XADD", STREAM, "*", "body", encode(Bare(number, TEXT)))

    await sending.of(concurrently(send))
    await consuming.of(consume(client, together=together))
    await client.execute_command("DEL", STREAM)
    await client.aclose()
    await pool.disconnect()


async def consume(client: Client, *, together: bool) -> None:
    decode, left = msgspec.json.Decoder(Bare).decode, EVENTS
    while left:
        ((_, entries),) = await client.execute_command(
            "XREADGROUP", "GROUP", "plain", "me", "COUNT", WINDOW, "STREAMS", STREAM, ">"
        )
        for _, fields in entries:
            decode(fields[b"body"])
        left -= len(entries)
        ids = [id for id, _ in entries]
        for some in [ids] if together else [[id] for id in ids]:
            await client.execute_command("XACK", STREAM, "plain", *some)


async def measure(url: str) -> None:
    variants = ("redis-py, an XACK each", "redis-py, an XACK a read", "bus")
    sending, consuming = ({name: Cost() for name in variants} for _ in range(2))
    for _ in range(ROUNDS):
        for name in variants[:2]:
            await with_redis_py(url, sending[name], consuming[name], together=name.endswith("read"))
        await with_bus(RedisEventBus(url, source="benchmark"), sending["bus"], consuming["bus"])
    print(f"Redis, appendfsync always, {EVENTS:,} events of 250 bytes; medians of {ROUNDS} rounds")
    show("confirmed sends, 500 in flight", sending)
    show("handled and settled", consuming)


def main() -> None:
    with open_broker("redis") as broker:
        asyncio.run(measure(broker.url))


if __name__ == "__main__":
    main()
