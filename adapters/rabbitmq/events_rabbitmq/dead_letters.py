"""The feed of dead letters: reads the queue once, and holds what it read until it is stopped."""

import asyncio
from collections.abc import Sequence

from aiormq.abc import AbstractChannel
from pamqp import commands, frame

from events_core.errors import EventsError, NotConnected
from events_core.ports import Delivery, Settled, Settlement, Verdict
from events_rabbitmq import topology
from events_rabbitmq.amqp.frames import GET_EMPTY, Lane
from events_rabbitmq.amqp.inbox import Inbox
from events_rabbitmq.amqp.link import Link
from events_rabbitmq.amqp.publisher import Outcome
from events_rabbitmq.errors import translated
from events_rabbitmq.feeds import Copies, copy_of, settled
from events_rabbitmq.topology import Names
from events_rabbitmq.wire import is_held, read, tag_of

__all__ = ["DeadLetterFeed"]


class DeadLetterFeed:
    """Gets letters by request. Those that are left there go back, in order, when the channel is closed."""

    def __init__(self, link: Link, names: Names, copies: Copies) -> None:
        self._link = link
        self._names = names
        self._copies = copies
        self._inbox = Inbox()
        self._channel: AbstractChannel | None = None
        self._at_end = False
        self._asked = 0
        self._answered: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Begin to read, with `NotConnected`. A subscription that is not there has no dead letters."""
        if await topology.depth(self._link, self._names.dead) is None:
            self._at_end = True
            return
        self._channel = await self._link.channel(Lane(method=self._on_method, message=self._on_letter, end=self.end))

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """The next ones; empty at the end."""
        if self._channel is None:
            return ()
        self._inbox.check()
        if not (self._asked or self._at_end or self._inbox.waiting):
            get = frame.marshal(commands.Basic.Get(queue=self._names.dead), self._channel.number)
            self._link.write([get] * limit)
            self._asked = limit
        try:
            async with translated(self._link.timeout):
                while self._asked:
                    self._answered = asyncio.get_running_loop().create_future()
                    await self._answered
        except NotConnected as error:
            self.end(str(error))
        return [read(each, self._names.dead, self._inbox) for each in self._inbox.take(limit)]

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Discard at once, replay when the copy is confirmed; what is left there goes back in the end."""
        self._inbox.check()
        results = {each.delivery: Settled.DONE for each in batch if is_held(each.delivery, self._inbox)}
        ours = [each for each in batch if each.delivery in results and each.verdict is not Verdict.RELEASE]
        if replayed := [each for each in ours if each.verdict is Verdict.RETRY]:
            results |= await self._replay(replayed)
            self._inbox.check()
        if self._channel is not None:
            done = [tag_of(each.delivery) for each in ours if results[each.delivery] is Settled.DONE]
            self._link.write(self._inbox.settle(self._channel.number, accepted=done))
        return [results.get(each.delivery, Settled.LOST) for each in batch]

    async def lag(self) -> int | None:
        """How many were not read."""
        depth = await topology.depth(self._link, self._names.dead)
        return 0 if depth is None else depth.ready

    async def stop(self) -> None:
        """Give back what was left there."""
        self._at_end = True
        channel, self._channel = self._channel, None
        if channel is not None:
            self._inbox.end("the feed was stopped")
            await self._link.close_channel(channel)

    def end(self, reason: str) -> None:
        """The channel is gone: what is held can be read again."""
        self._inbox.end(reason)
        self._asked = 0
        self._tell()

    def _on_method(self, name: bytes, _: bytes) -> bool:
        if name != GET_EMPTY:
            return False
        self._at_end = True
        self._count()
        return True

    def _on_letter(self, told: bytes, properties: bytes, body: bytes) -> None:
        self._inbox.put(told, properties, body)
        self._count()

    def _count(self) -> None:
        self._asked -= 1
        if not self._asked:
            self._tell()

    def _tell(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    async def _replay(self, batch: Sequence[Settlement]) -> dict[Delivery, Settled]:
        try:
            outcomes = await self._copies([(self._names.queue, copy_of(each)) for each in batch])
        except EventsError:
            outcomes = [Outcome.UNKNOWN] * len(batch)
        return {each.delivery: settled(outcome) for each, outcome in zip(batch, outcomes, strict=True)}
