"""The feed of a durable subscription."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from secrets import token_hex
from typing import Final

from aiormq.abc import AbstractChannel, DeliveredMessage

from events_core.errors import ConnectionLost, EventsError
from events_core.messages import CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Delivery, Settled, Settlement, Verdict, Wire
from events_rabbitmq import topology
from events_rabbitmq.amqp.errors import translated
from events_rabbitmq.amqp.frames import CANCEL, Lane
from events_rabbitmq.amqp.link import Link
from events_rabbitmq.amqp.publisher import Outcome
from events_rabbitmq.inbox import Inbox
from events_rabbitmq.topology import Names

__all__ = ["Copies", "EventFeed", "copy_of", "never"]

_MOST_PREFETCH: Final = 65_535
_MOST_HEADERS: Final = 100_000
"""Bytes: all of them have to fit one frame. A stranger's may fill it, and leave no room for the bus's own."""

Copies = Callable[[Sequence[tuple[str, Wire]]], Awaitable[Sequence[Outcome]]]
"""Puts copies into queues, by name. Raises `NotConnected` where surely none was written."""


class EventFeed:
    """Consumes a queue with a window, on a channel of its own.

    RabbitMQ counts every hand-back as if a process had died of it, up to 4.2 a clean one too. So the first delivery is
    looked at alone: one that came back before has to be settled until others are asked for. After a crash it is the one
    to look at, as what comes back goes to the head of the queue.
    """

    def __init__(self, link: Link, names: Names, waits: Mapping[float, str], copies: Copies, *, window: int) -> None:
        self._link = link
        self._names = names
        self._waits = waits
        self._copies = copies
        self._window = min(window, _MOST_PREFETCH)
        self._inbox = Inbox(names.queue)
        self._channel: AbstractChannel | None = None
        self._consumers: list[str] = []
        self._turn = asyncio.Lock()
        self._looking = True
        self._stopped = False

    async def open(self) -> None:
        """Begin to consume, with `NotConnected` or `TopologyMismatch`."""
        async with self._link.opening(Lane(method=self._on_method, message=self._inbox.put, end=self.end)) as channel:
            self._channel = channel
            await self._consume(channel, 1)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            if deliveries := self._inbox.take(limit):
                if self._looking and deliveries[0].starts == 1:
                    self._look_further()
                return deliveries
            await self._inbox.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Accept and release at once; retries and dead letters when their copies are confirmed."""
        self._inbox.check()
        ours = [self._inbox.holds(each.delivery) for each in batch]
        results = [Settled.DONE if each else Settled.LOST for each in ours]
        mine = [(index, each) for index, each in enumerate(batch) if ours[index]]
        self._let_go(
            accepted=[each.delivery for _, each in mine if each.verdict is Verdict.ACCEPT],
            released=[each.delivery for _, each in mine if each.verdict is Verdict.RELEASE],
        )
        copied = [(index, each) for index, each in mine if each.verdict in {Verdict.RETRY, Verdict.DEAD_LETTER}]
        if copied:
            done = await self._copy([each for _, each in copied])
            for (index, _), settled in zip(copied, done, strict=True):
                results[index] = settled
        return results

    async def lag(self) -> int | None:
        """What is ready."""
        depth = await topology.depth(self._link, self._names.queue)
        return 0 if depth is None else depth.ready

    async def stop(self) -> None:
        """Stop consuming, and give back what was not handed out."""
        channel = self._channel
        if self._stopped or channel is None:
            return
        self._stopped = True
        self._inbox.wake()
        try:
            async with translated(self._link.timeout), self._turn:
                for consumer in self._consumers:
                    await channel.basic_cancel(consumer)
        except EventsError as error:
            self._finish(str(error))
        else:
            self._let_go(accepted=(), released=self._inbox.take_all())

    def end(self, reason: str) -> None:
        """The channel is gone: what is held is handed out elsewhere."""
        self._inbox.end(reason)

    def _on_method(self, name: bytes, _: bytes) -> bool:
        if name == CANCEL:
            self._finish(f"RabbitMQ ended the consumer: {self._names.queue} was deleted, or its node went down")
        return False

    async def _consume(self, channel: AbstractChannel, prefetch: int) -> None:
        consumer = f"{self._names.queue}-{token_hex(4)}"
        self._consumers.append(consumer)
        await channel.basic_qos(prefetch_count=prefetch)
        await channel.basic_consume(self._names.queue, never, consumer_tag=consumer)

    def _look_further(self) -> None:
        self._looking = False
        if self._window > 1:
            self._link.later(self._open_window())

    async def _open_window(self) -> None:
        try:
            async with translated(self._link.timeout), self._turn:
                if self._channel is not None and not self._stopped:
                    await self._consume(self._channel, self._window - 1)
        except EventsError as error:
            self._finish(str(error))

    def _let_go(self, *, accepted: Sequence[Delivery], released: Sequence[Delivery]) -> None:
        if self._channel is None:
            return
        self._link.write(self._inbox.settle(self._channel.number, accepted=accepted, released=released))
        if self._inbox.is_settled and self._stopped:
            self._finish("the feed was stopped")
        elif self._inbox.is_settled and self._looking:
            self._look_further()

    async def _copy(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        copies = [(self._target(each), copy_of(each)) for each in batch]
        try:
            outcomes = await self._copies(copies)
        except EventsError:
            outcomes = [Outcome.UNKNOWN] * len(batch)
        self._inbox.check()
        stored = [each.delivery for each, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.STORED]
        self._let_go(accepted=stored, released=())
        if Outcome.UNROUTED in outcomes:
            reason = f"a queue of {self._names.queue} was deleted"
            self._finish(reason)
            raise ConnectionLost(reason)
        return [Settled.DONE if each is Outcome.STORED else Settled.AGAIN for each in outcomes]

    def _finish(self, reason: str) -> None:
        self.end(reason)
        if self._channel is not None:
            self._link.later(self._link.close_channel(self._channel))

    def _target(self, settlement: Settlement) -> str:
        if settlement.verdict is Verdict.DEAD_LETTER:
            return self._names.dead
        return self._waits[settlement.delay] if settlement.delay else self._names.queue


def copy_of(settlement: Settlement) -> Wire:
    """The message that a retry or dead letter becomes."""
    wire = settlement.delivery.wire
    headers = dict(wire.headers if settlement.headers is None else settlement.headers)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in headers.items())
    for name in sorted(headers.keys() - CLOUDEVENTS_ATTRIBUTES, key=lambda name: -len(headers[name])):
        if size <= _MOST_HEADERS:
            break
        size -= len(name.encode()) + len(headers.pop(name).encode())
    return Wire(headers, wire.body, wire.key)


async def never(_: DeliveredMessage) -> None:
    """Messages do not come this way."""
