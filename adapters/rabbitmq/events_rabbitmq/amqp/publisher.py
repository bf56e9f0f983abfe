"""Publishing with confirms: batches in one write, one future a batch."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from secrets import token_hex
from typing import Final, NamedTuple

from aiormq.abc import AbstractChannel
from pamqp import commands, frame

from events_core.errors import NotConnected
from events_rabbitmq.amqp.content import Content, frames, properties
from events_rabbitmq.amqp.frames import ACK, NACK, Lane
from events_rabbitmq.amqp.link import Link

__all__ = ["Batch", "Outcome", "Publisher", "Target"]

_MULTIPLE: Final = 1
_SLICE: Final = 1 << 20
"""Bytes that are written at once."""
_METHODS: Final = 10_000
"""So many publish methods are remembered: a process sends to few topics and types."""


class Target(NamedTuple):
    """Where a message goes."""

    exchange: str
    routing_key: str


class Outcome(Enum):
    """What became of a message."""

    STORED = "stored"
    UNROUTED = "unrouted"
    """No queue wanted it."""
    REFUSED = "refused"
    """At least one queue did not take it."""
    UNKNOWN = "unknown"


class Batch:
    """Messages that were written together."""

    __slots__ = ("answered", "left", "outcomes")

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome] = [Outcome.UNKNOWN] * size
        self.left: int = size
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, index: int, outcome: Outcome) -> None:
        """One of them."""
        if self.outcomes[index] is Outcome.UNKNOWN:
            self.outcomes[index] = outcome
        self.left -= 1
        if not self.left:
            self.give_up()

    def give_up(self) -> None:
        """What has no answer will get none."""
        if not self.answered.done():
            self.answered.set_result(None)


class Publisher:
    """The confirmed channel of a link."""

    def __init__(self, link: Link, unrouted: Callable[[Target], None]) -> None:
        self._unrouted = unrouted
        self._channel: AbstractChannel | None = None
        self._number = 0
        self._tag = 0
        self._lowest = 1
        self._waiting: dict[int, tuple[Batch, int, Target]] = {}
        self._methods: dict[Target, bytes] = {}
        self._identity = token_hex(8)
        self.link: Link = link
        self.ended: str | None = None

    async def open(self) -> None:
        """Open the channel, with `NotConnected`."""
        lane = Lane(method=self._on_method, message=self._on_return, end=self.end)
        self._channel = await self.link.channel(lane, confirms=True)
        self._number = self._channel.number

    async def write(self, messages: Sequence[tuple[Target, Content]]) -> Sequence[Batch]:
        """Write them in order, as fast as the broker takes them. Raises `NotConnected` where surely nothing was written."""
        batches: list[Batch] = []
        for some in _slices(messages):
            try:
                await self.link.room()
                batches.append(self._write(some))
            except NotConnected:
                if not batches:
                    raise
                batches.append(Batch(len(some)))
                batches[-1].give_up()
        return batches

    async def outcomes(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        """Wait for the answers, for the link's timeout at the most."""
        await asyncio.wait([batch.answered for batch in batches], timeout=self.link.timeout)
        if unanswered := {batch for batch in batches if batch.left}:
            # Nobody waits for them any more: a queue that never confirms must not be remembered for ever.
            self._waiting = {tag: each for tag, each in self._waiting.items() if each[0] not in unanswered}
        return [outcome for batch in batches for outcome in batch.outcomes]

    def close(self) -> None:
        """Close the channel; nothing waits for it."""
        if self._channel is not None:
            self.link.later(self.link.close_channel(self._channel))

    def end(self, reason: str) -> None:
        """The channel is gone: nothing is known of what waits."""
        self.ended = self.ended or reason
        waiting, self._waiting = self._waiting, {}
        for batch, _, _ in waiting.values():
            batch.give_up()

    def _write(self, messages: Sequence[tuple[Target, Content]]) -> Batch:
        if self.ended is not None or self.link.blocked:
            raise NotConnected(self.ended or "RabbitMQ takes no messages for now: it is short of memory or disk")
        batch = Batch(len(messages))
        written: list[bytes] = []
        waiting: dict[int, tuple[Batch, int, Target]] = {}
        for index, (target, content) in enumerate(messages):
            tag = self._tag + 1 + index
            # An identity of its own for each attempt: a returned message is told apart by nothing else.
            identity = f"{self._identity}-{tag}"
            written.append(self._methods.get(target) or self._method(target))
            written += frames(content, channel=self._number, message_id=identity, frame_max=self.link.frame_max)
            waiting[tag] = (batch, index, target)
        # The broker counts what is written: nothing is counted here before everything could be said.
        self._tag += len(messages)
        self._waiting |= waiting
        self.link.write(written)
        return batch

    def _method(self, target: Target) -> bytes:
        publish = commands.Basic.Publish(exchange=target.exchange, routing_key=target.routing_key, mandatory=True)
        if len(self._methods) > _METHODS:
            self._methods.clear()
        method = self._methods[target] = frame.marshal(publish, self._number)
        return method

    def _on_method(self, name: bytes, payload: bytes) -> bool:
        if name not in {ACK, NACK}:
            return False
        tag = int.from_bytes(payload[4:12], "big")
        outcome = Outcome.STORED if name == ACK else Outcome.REFUSED
        if payload[12] & _MULTIPLE:
            for each in range(self._lowest, tag + 1):
                self._answer(each, outcome)
        else:
            self._answer(tag, outcome)
        while self._lowest <= self._tag and self._lowest not in self._waiting:
            self._lowest += 1
        return True

    def _on_return(self, method: bytes, told: bytes, body: bytes) -> None:
        """Comes before the confirm of the same message."""
        tag = int(properties(told).message_id.rpartition("-")[2])
        if (waiting := self._waiting.get(tag)) is not None:
            batch, index, target = waiting
            batch.outcomes[index] = Outcome.UNROUTED
            self._unrouted(target)

    def _answer(self, tag: int, outcome: Outcome) -> None:
        waiting = self._waiting.pop(tag, None)
        if waiting is not None:
            batch, index, _ = waiting
            batch.answer(index, outcome)


def _slices(messages: Sequence[tuple[Target, Content]]) -> Iterator[Sequence[tuple[Target, Content]]]:
    """As many at a time as take a megabyte, and at least one."""
    start = size = 0
    for index, (_, content) in enumerate(messages):
        if size >= _SLICE:
            yield messages[start:index]
            start, size = index, 0
        size += len(content.body) + len(content.headers)
    yield messages[start:]
