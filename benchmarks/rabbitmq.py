"""The bus on RabbitMQ beside plain aio-pika: the same quorum queue, the same events, confirmed and settled.

Run it on a quiet machine: `python -m benchmarks.rabbitmq`. It starts a broker of its own on this machine, which shares the
cores with it. Each round measures every variant once, one after the other; the medians are compared. Both sides encode and
decode with msgspec; publishing keeps 500 sends in flight, consuming holds 100 deliveries.
"""

import asyncio
from typing import Final

import aio_pika
import msgspec
from pamqp.common import FieldValue

from benchmarks.measuring import EVENTS, ROUNDS, TEXT, WINDOW, Bare, Cost, Countdown, concurrently, show, with_bus
from brokers import open_broker
from events_rabbitmq import RabbitMQEventBus

QUORUM: Final[dict[str, FieldValue]] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}


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


async def measure(url: str) -> None:
    sending = {"aio-pika": Cost(), "bus": Cost()}
    consuming = {"aio-pika": Cost(), "bus": Cost()}
    for _ in range(ROUNDS):
        await with_aio_pika(url, sending["aio-pika"], consuming["aio-pika"])
        await with_bus(RabbitMQEventBus(url, source="benchmark"), sending["bus"], consuming["bus"])
    print(f"RabbitMQ, quorum queue, {EVENTS:,} events of 250 bytes; medians of {ROUNDS} rounds")
    show("confirmed sends, 500 in flight", sending)
    show("handled and settled", consuming)


def main() -> None:
    with open_broker("rabbitmq") as broker:
        asyncio.run(measure(broker.url))


if __name__ == "__main__":
    main()
