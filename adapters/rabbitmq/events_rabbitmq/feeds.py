"""The feed of a durable subscription."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from secrets import token_hex
from typing import Final

from aiormq.abc import AbstractChannel, DeliveredMessage

from events_core.errors import ConnectionLost, EventsError
from events_core.messages import BUS_PREFIX, CLOUDEVENTS_ATTRIBUTES
from events_core.ports import Delivery, Settled, Settlement, Verdict, Wire
from events_rabbitmq import topology
from events_rabbitmq.amqp.errors import translated
from events_rabbitmq.amqp.frames import CANCEL, Lane
from events_rabbitmq.amqp.link import Link
from events_rabbitmq.amqp.publisher import Outcome
from events_rabbitmq.inbox import Inbox
from events_rabbitmq.topology import Names
from events_rabbitmq.wire import handed_back

__all__ = ["Copies", "EventFeed", "copy_of", "never", "settled"]

_MOST_PREFETCH: Final = 65_535
_MOST_HEADERS: Final = 100_000
"""Bytes: all of them have to fit one frame. A stranger's may fill it, and leave no room for the bus's own."""

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
        results = {each.delivery: Settled.DONE for each in batch if self._inbox.holds(each.delivery)}
        ours = [each for each in batch if each.delivery in results]
        self._let_go(accepted=[each.delivery for each in ours if each.verdict is Verdict.ACCEPT])
        await self._hand_back([each.delivery for each in ours if each.verdict is Verdict.RELEASE])
        if copied := [each for each in ours if each.verdict in {Verdict.RETRY, Verdict.DEAD_LETTER}]:
            results |= await self._copy(copied)
        return [results.get(each.delivery, Settled.LOST) for each in batch]

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
            async with translated(self._link.timeout):
                await channel.basic_cancel(self._consumer)
            await self._hand_back(self._inbox.take_all())
        except EventsError as error:
            self._finish(str(error))

    def end(self, reason: str) -> None:
        """The channel is gone: what is held is handed out elsewhere."""
        self._inbox.end(reason)

    def _on_method(self, name: bytes, _: bytes) -> bool:
        if name == CANCEL:
            self._finish(f"RabbitMQ ended the consumer: {self._names.queue} was deleted, or its node went down")
        return False

    def _let_go(self, *, accepted: Sequence[Delivery] = (), released: Sequence[Delivery] = ()) -> None:
        if self._channel is None:
            return
        self._link.write(self._inbox.settle(self._channel.number, accepted=accepted, released=released))
        if self._inbox.is_settled and self._stopped:
            self._finish("the feed was stopped")

    async def _hand_back(self, deliveries: Sequence[Delivery]) -> None:
        """Give back what never began, and count nothing for it.

        Before 4.3 RabbitMQ counts a hand-back like a crash. Once, for an event as it was sent, does no harm. What came
        back before, or is watched by the bus, is put back as a copy that keeps its count.
        """
        counted = [each for each in deliveries if each.starts > 1 or any(map(_is_bus_header, each.wire.headers))]
        self._let_go(released=[each for each in deliveries if each not in counted])
        if not counted:
            return
        outcomes = await self._try_copying([(self._names.queue, handed_back(each)) for each in counted])
        stored = [each for each, outcome in zip(counted, outcomes, strict=True) if outcome is Outcome.STORED]
        self._let_go(accepted=stored, released=[each for each in counted if each not in stored])

    async def _copy(self, batch: Sequence[Settlement]) -> dict[Delivery, Settled]:
        outcomes = await self._try_copying([(self._target(each), copy_of(each)) for each in batch])
        if Outcome.UNROUTED in outcomes:
            reason = f"a queue of {self._names.queue} was deleted"
            self._finish(reason)
            raise ConnectionLost(reason)
        results = {each.delivery: settled(outcome) for each, outcome in zip(batch, outcomes, strict=True)}
        self._let_go(accepted=[delivery for delivery, result in results.items() if result is Settled.DONE])
        return results

    async def _try_copying(self, copies: Sequence[tuple[str, Wire]]) -> Sequence[Outcome]:
        """Put copies into queues; where this feed is lost meanwhile, `ConnectionLost`."""
        try:
            outcomes = await self._copies(copies)
        except EventsError:
            outcomes = [Outcome.UNKNOWN] * len(copies)
        self._inbox.check()
        return outcomes

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


def settled(copy: Outcome) -> Settled:
    """What becomes of a delivery whose copy ended so."""
    return Settled.DONE if copy is Outcome.STORED else Settled.AGAIN


def _is_bus_header(name: str) -> bool:
    return name.startswith(BUS_PREFIX)


async def never(_: DeliveredMessage) -> None:
    """Messages do not come this way."""
