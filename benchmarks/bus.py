"""What the bus in memory costs beside a bare queue: events of about 100 bytes, sent and handled on one event loop.

Run it on a quiet machine: `python -m benchmarks.bus`. The bare loop encodes with msgspec, puts the bytes into an
`asyncio.Queue`, takes, decodes and counts. Every round measures both, one after the other; the medians are compared.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Final

import msgspec

from events_core import EventHandlerConsumer, InMemoryEventBus, IntegrationEvent, Registration, Topic

ROUNDS: Final = 7
EVENTS: Final = 20_000
IN_FLIGHT: Final = 500


class Bare(msgspec.Struct, frozen=True):
    number: int
    email: str
    name: str


class UserSeen(IntegrationEvent, key="email"):
    type = "users.user_seen"
    version = 1
    number: int
    email: str
    name: str


class Countdown:
    """Done when everything was handled."""

    def __init__(self) -> None:
        self._left = EVENTS
        self.done = asyncio.Event()

    def count(self) -> None:
        self._left -= 1
        if not self._left:
            self.done.set()


async def bare() -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=IN_FLIGHT)
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Bare).decode
    countdown = Countdown()

    async def consume() -> None:
        while True:
            decode(await queue.get())
            countdown.count()

    consumer = asyncio.create_task(consume())
    for number in range(EVENTS):
        await queue.put(encode(Bare(number, "margaret.hamilton@example.com", "Margaret Hamilton")))
    await countdown.done.wait()
    consumer.cancel()


async def bus() -> None:
    topic, countdown = Topic("users"), Countdown()

    async def count(event: UserSeen) -> None:
        countdown.count()

    registration = Registration(EventHandlerConsumer("counter", {UserSeen: [count]}), topic)
    async with InMemoryEventBus(source="benchmark", registrations=[registration]) as sending:

        async def send(first: int) -> None:
            for number in range(first, EVENTS, IN_FLIGHT):
                await sending.send(topic, UserSeen(number, "margaret.hamilton@example.com", "Margaret Hamilton"))

        await asyncio.gather(*(send(first) for first in range(IN_FLIGHT)))
        await countdown.done.wait()


def seconds(run: Callable[[], Awaitable[None]]) -> float:
    async def timed() -> float:
        began = time.perf_counter()
        await run()
        return time.perf_counter() - began

    return asyncio.run(timed())


def main() -> None:
    variants: dict[str, Callable[[], Awaitable[None]]] = {"asyncio.Queue and msgspec": bare, "bus in memory": bus}
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, run in variants.items():
            times[name].append(seconds(run))
    medians = {name: median(values) for name, values in times.items()}
    first = medians["asyncio.Queue and msgspec"]
    print(f"{EVENTS:,} events sent and handled, {IN_FLIGHT} sends in flight; medians of {ROUNDS} rounds")
    print(f"{'':28} {'events/s':>10} {'µs/event':>9} {'ratio':>7}")
    for name, value in medians.items():
        print(f"{name:28} {EVENTS / value:10,.0f} {value / EVENTS * 1e6:9.1f} {value / first:6.1f}x")


if __name__ == "__main__":
    main()
