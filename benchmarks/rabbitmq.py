"""The bus on RabbitMQ beside plain aio-pika: the same quorum queue, the same events, confirmed and settled.

Run it on a quiet machine: `python -m benchmarks.rabbitmq`. It starts a broker of its own on this machine, which shares the
cores with it. Each round measures every variant once, one after the other; the medians are compared. Both sides encode and
decode with msgspec; publishing keeps 500 sends in flight, consuming holds 100 deliveries.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import aio_pika
import msgspec
from pamqp.common import FieldValue

from brokers import open_broker
from events_core import EventHandlerConsumer, IntegrationEvent, Registration, Topic
from events_rabbitmq import RabbitMQEventBus

ROUNDS: Final = 5
EVENTS: Final = 10_000
IN_FLIGHT: Final = 500
WINDOW: Final = 100
TEXT: Final = "x" * 200
QUORUM: Final[dict[str, FieldValue]] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}


class Bare(msgspec.Struct, frozen=True):
    number: int
    text: str


class Measured(IntegrationEvent):
    type = "benchmark.measured"
    version = 1
    number: int
    text: str


@dataclass(slots=True)
class Cost:
    """Of one variant: events a second and processor microseconds an event, round by round."""

    rates: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])

    async def of(self, work: Awaitable[None]) -> None:
        began, cpu = time.perf_counter(), time.process_time()
        await work
        self.rates.append(EVENTS / (time.perf_counter() - began))
        self.cpu.append((time.process_time() - cpu) / EVENTS * 1e6)


class Countdown:
    """Done when everything was handled."""

    def __init__(self) -> None:
        self._left = EVENTS
        self.done = asyncio.Event()

    def count(self) -> None:
        self._left -= 1
        if not self._left:
            self.done.set()


async def concurrently(send: Callable[[int], Awaitable[object]]) -> None:
    async def some(first: int) -> None:
        for number in range(first, EVENTS, IN_FLIGHT):
            await send(number)

    await asyncio.gather(*(some(first) for first in range(IN_FLIGHT)))


async def with_aio_pika(url: str, sending: Cost, consuming: Cost) -> None:
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Bare).decode
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(WINDOW)
        queue = await channel.declare_queue("benchmark.aio-pika", durable=True, arguments=QUORUM)
        countdown = Countdown()

        async def send(number: int) -> None:
            message = aio_pika.Message(encode(Bare(number, TEXT)), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, routing_key=queue.name)

        async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            decode(message.body)
            await message.ack()
            countdown.count()

        async def consume() -> None:
            tag = await queue.consume(handle)
            await countdown.done.wait()
            await queue.cancel(tag)

        await sending.of(concurrently(send))
        await consuming.of(consume())
        await queue.delete(if_unused=False, if_empty=False)


async def with_bus(url: str, sending: Cost, consuming: Cost) -> None:
    topic, countdown = Topic("benchmark"), Countdown()

    async def handle(event: Measured) -> None:
        countdown.count()

    consumer = EventHandlerConsumer("bus", {Measured: [handle]})
    registration = Registration(consumer, topic, prefetch=WINDOW, concurrency=WINDOW)
    async with RabbitMQEventBus(url, source="benchmark") as bus:
        await bus.register(registration)
        await bus.unregister(registration)

        async def send(number: int) -> None:
            await bus.send(topic, Measured(number, TEXT))

        async def consume() -> None:
            await bus.register(registration)
            await countdown.done.wait()
            await bus.unregister(registration)

        await sending.of(concurrently(send))
        await consuming.of(consume())
        await bus.delete_subscription("bus", topic, force=True)


async def measure(url: str) -> None:
    sending = {"aio-pika": Cost(), "bus": Cost()}
    consuming = {"aio-pika": Cost(), "bus": Cost()}
    for _ in range(ROUNDS):
        await with_aio_pika(url, sending["aio-pika"], consuming["aio-pika"])
        await with_bus(url, sending["bus"], consuming["bus"])
    print(f"RabbitMQ, quorum queue, {EVENTS:,} events of 250 bytes; medians of {ROUNDS} rounds")
    for title, costs in (("confirmed sends, 500 in flight", sending), ("handled and settled", consuming)):
        print(f"{title:32} {'events/s':>10} {'CPU µs':>8} {'ratio':>7}")
        first = median(costs["aio-pika"].rates)
        for name, cost in costs.items():
            rate = median(cost.rates)
            print(f"  {name:30} {rate:10,.0f} {median(cost.cpu):8.1f} {rate / first:6.1f}x")


def main() -> None:
    with open_broker("rabbitmq") as broker:
        asyncio.run(measure(broker.url))


if __name__ == "__main__":
    main()
