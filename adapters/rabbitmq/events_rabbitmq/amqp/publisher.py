"""Publishing with confirms: batches in one write, one future a batch."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
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
        self.exchanges: set[str] = set()
        """Declared on this link."""
        self.ended: str | None = None

    async def open(self) -> None:
        """Open the channel, with `NotConnected`."""
        lane = Lane(method=self._on_method, message=self._on_return, end=self.end)
        self._channel = await self.link.channel(lane, confirms=True)
        self._number = self._channel.number

    def write(self, messages: Sequence[tuple[Target, Content]]) -> Batch:
        """Write all at once, in order. Raises `NotConnected` where surely nothing was written."""
        if self.ended is not None or self.link.blocked:
            raise NotConnected(self.ended or "RabbitMQ takes no messages for now: it is short of memory or disk")
        batch = Batch(len(messages))
        self.link.write(self._frames(batch, messages))
        return batch

    async def outcomes(self, batch: Batch) -> Sequence[Outcome]:
        """Wait for the answers, for the link's timeout at the most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.link.timeout):
                await batch.answered
        return batch.outcomes

    def end(self, reason: str) -> None:
        """The channel is gone: nothing is known of what waits."""
        self.ended = self.ended or reason
        waiting, self._waiting = self._waiting, {}
        for batch, _, _ in waiting.values():
            batch.give_up()

    def _frames(self, batch: Batch, messages: Sequence[tuple[Target, Content]]) -> list[bytes]:
        written: list[bytes] = []
        for index, (target, content) in enumerate(messages):
            written.append(self._methods.get(target) or self._method(target))
            self._tag += 1
            # An identity of its own for each attempt: a returned message is told apart by nothing else.
            identity = f"{self._identity}-{self._tag}"
            written += frames(content, channel=self._number, message_id=identity, frame_max=self.link.frame_max)
            self._waiting[self._tag] = (batch, index, target)
        return written

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
            self._lowest = tag + 1
        else:
            self._answer(tag, outcome)
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
