"""The feed of a durable subscription."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from secrets import token_hex
from typing import Final

from aiormq.abc import AbstractChannel, DeliveredMessage

from events_core.errors import ConnectionLost, EventsError
from events_core.messages import BUS_PREFIX
from events_core.ports import Delivery, Settled, Settlement, Verdict, Wire
from events_rabbitmq import topology
from events_rabbitmq.amqp.frames import CANCEL, Lane
from events_rabbitmq.amqp.inbox import Arrived, Inbox
from events_rabbitmq.amqp.link import Link
from events_rabbitmq.amqp.publisher import Outcome
from events_rabbitmq.errors import translated
from events_rabbitmq.topology import Names
from events_rabbitmq.wire import handed_back, is_held, read, tag_of

__all__ = ["Copies", "EventFeed", "copy_of", "never", "settled"]

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
        self._inbox = Inbox()
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
            if arrived := self._inbox.take(limit):
                return self._read(arrived)
            await self._inbox.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Accept and release at once; retries and dead letters when their copies are confirmed."""
        self._inbox.check()
        results = {each.delivery: Settled.DONE for each in batch if is_held(each.delivery, self._inbox)}
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
            await self._hand_back(self._read(self._inbox.take(self._inbox.waiting)))
        except EventsError as error:
            self._finish(str(error))
        except BaseException:
            # The library closes a channel whose call was cancelled: nothing may be settled on its number any more.
            self._finish("stopping was cancelled")
            raise

    def end(self, reason: str) -> None:
        """The channel is gone: what is held is handed out elsewhere."""
        self._inbox.end(reason)

    def _on_method(self, name: bytes, _: bytes) -> bool:
        if name == CANCEL:
            self._finish(f"RabbitMQ ended the consumer: {self._names.queue} was deleted, or its node went down")
        return False

    def _read(self, arrived: Sequence[Arrived]) -> list[Delivery]:
        return [read(each, self._names.queue, self._inbox) for each in arrived]

    def _let_go(self, *, accepted: Sequence[Delivery] = (), released: Sequence[Delivery] = ()) -> None:
        if self._channel is None:
            return
        tags, back = map(tag_of, accepted), map(tag_of, released)
        self._link.write(self._inbox.settle(self._channel.number, accepted=tags, released=back))
        if self._inbox.is_settled and self._stopped:
            self._finish("the feed was stopped")

    async def _hand_back(self, deliveries: Sequence[Delivery]) -> None:
        """Give back what never began, and count nothing for it.

        Before 4.3 RabbitMQ counts a hand-back like a crash. Once, for an event as it was sent, does no harm. What came
        back before, or is watched by the bus, is put back as a copy that keeps its count.
        """
        counted = {each for each in deliveries if each.starts > 1 or any(map(_is_bus_header, each.wire.headers))}
        self._let_go(released=[each for each in deliveries if each not in counted])
        if not counted:
            return
        outcomes = await self._try_copying([(self._names.queue, handed_back(each)) for each in counted])
        stored = {each for each, outcome in zip(counted, outcomes, strict=True) if outcome is Outcome.STORED}
        self._let_go(accepted=[*stored], released=[*(counted - stored)])

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
    return wire if settlement.headers is None else Wire(settlement.headers, wire.body, wire.key)


def settled(copy: Outcome) -> Settled:
    """What becomes of a delivery whose copy ended so."""
    return Settled.DONE if copy is Outcome.STORED else Settled.AGAIN


def _is_bus_header(name: str) -> bool:
    return name.startswith(BUS_PREFIX)


async def never(_: DeliveredMessage) -> None:
    """Messages do not come this way."""
