"""What others do to the broker, with aio-pika and nothing of ours."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

__all__ = ["ANSWERS_WITHIN", "first", "on_channel", "publish", "queue_of"]

ANSWERS_WITHIN = 10.0
Result = TypeVar("Result")


async def on_channel(url: str, act: Callable[[AbstractChannel], Awaitable[Result]]) -> Result:
    """Do something on a channel of a connection of its own."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        return await act(channel)


async def publish(url: str, exchange: str, key: str, message: aio_pika.Message) -> None:
    """Publish, and wait for the confirm."""

    async def act(channel: AbstractChannel) -> None:
        target: AbstractExchange = await channel.get_exchange(exchange) if exchange else channel.default_exchange
        await target.publish(message, routing_key=key, timeout=ANSWERS_WITHIN)

    await on_channel(url, act)


async def queue_of(channel: AbstractChannel, exchange: str, key: str) -> "asyncio.Queue[AbstractIncomingMessage]":
    """What a queue of a stranger's own, bound to an exchange, gets from now on."""
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    topic = await channel.declare_exchange(exchange, "topic", durable=True)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(topic, routing_key=key)
    await queue.consume(arrived.put, no_ack=True)
    return arrived


async def first(arrived: "asyncio.Queue[AbstractIncomingMessage]") -> AbstractIncomingMessage:
    """The next one to arrive."""
    async with asyncio.timeout(ANSWERS_WITHIN):
        return await arrived.get()
