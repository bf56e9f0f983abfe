"""The feed of a durable subscription."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from secrets import token_hex
from typing import Final

from aiormq.abc import AbstractChannel, DeliveredMessage

from events_core.errors import ConnectionLost, EventsError
from events_core.ports import Delivery, Settled, Settlement, Verdict, Wire
from events_rabbitmq import topology
from events_rabbitmq.errors import translated
from events_rabbitmq.frames import CANCEL, Lane
from events_rabbitmq.inbox import Inbox
from events_rabbitmq.link import Link
from events_rabbitmq.publisher import Outcome
from events_rabbitmq.topology import Names

__all__ = ["Copies", "EventFeed", "copy_of", "never"]

_MOST_PREFETCH: Final = 65_535

Copies = Callable[[Sequence[tuple[str, Wire]]], Awaitable[Sequence[Outcome]]]
"""Puts copies into queues, by name. Raises `NotConnected` where surely none was written."""


class EventFeed:
    """Consumes a queue with a window, on a channel of its own."""

    def __init__(self, link: Link, names: Names, waits: Mapping[float, str], copies: Copies, *, window: int) -> None:
        self._link = link
        self._names = names
        self._waits = waits
        self._copies = copies
        self._window = min(window, _MOST_PREFETCH)
        self._consumer = f"{names.queue}-{token_hex(4)}"
        self._inbox = Inbox(names.queue)
        self._channel: AbstractChannel | None = None
        self._stopped = False

    async def open(self) -> None:
        """Begin to consume, with `NotConnected` or `TopologyMismatch`."""
        async with self._link.opening(Lane(method=self._on_method, message=self._inbox.put, end=self.end)) as channel:
            self._channel = channel
            await channel.basic_qos(prefetch_count=self._window)
            await channel.basic_consume(self._names.queue, never, consumer_tag=self._consumer)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            if deliveries := self._inbox.take(limit):
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
        """What is ready, and what waits for a retry."""
        depths = [await topology.depth(self._link, queue) for queue in (self._names.queue, *self._waits.values())]
        return sum(each.ready for each in depths if each is not None)

    async def stop(self) -> None:
        """Stop consuming, and give back what was not handed out."""
        channel = self._channel
        if self._stopped or channel is None:
            return
        self._stopped = True
        self._inbox.wake()
        try:
            async with translated(self._link.timeout):
                await channel.basic_cancel(self._consumer)
        except EventsError as error:
            self.end(str(error))
        else:
            self._let_go(accepted=(), released=self._inbox.take_all())

    def end(self, reason: str) -> None:
        """The channel is gone: what is held is handed out elsewhere."""
        self._inbox.end(reason)

    def _on_method(self, name: bytes, _: bytes) -> bool:
        if name == CANCEL:
            self.end(f"RabbitMQ ended the consumer: {self._names.queue} was deleted, or its node went down")
        return False

    def _let_go(self, *, accepted: Sequence[Delivery], released: Sequence[Delivery]) -> None:
        if self._channel is None:
            return
        self._link.write(self._inbox.settle(self._channel.number, accepted=accepted, released=released))
        if self._stopped and self._inbox.is_settled:
            self._finish("the feed was stopped")

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
    return wire if settlement.headers is None else Wire(settlement.headers, wire.body, wire.key)


async def never(_: DeliveredMessage) -> None:
    """Messages do not come this way."""
