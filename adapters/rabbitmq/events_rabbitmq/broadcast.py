"""The feed of a broadcast topic."""

from collections.abc import Sequence
from secrets import token_hex

from aiormq.abc import AbstractChannel

from events_core.ports import Alert, AlertKind, Delivery, Notify, Settled, Settlement
from events_rabbitmq import topology
from events_rabbitmq.amqp.frames import CANCEL, Lane
from events_rabbitmq.amqp.inbox import Inbox
from events_rabbitmq.amqp.link import Link
from events_rabbitmq.feeds import never
from events_rabbitmq.wire import read

__all__ = ["BroadcastFeed"]


class BroadcastFeed:
    """Everything that is published from now on, by a queue of this connection alone, as far as the window has room."""

    def __init__(self, link: Link, exchange: str, window: int, notify: Notify) -> None:
        self._link = link
        self._exchange = exchange
        self._window = window
        self._notify = notify
        self._inbox = Inbox()
        self._channel: AbstractChannel | None = None
        self._missed = 0
        self._stopped = False

    async def open(self) -> None:
        """Begin to listen, with `NotConnected` or `TopologyMismatch`."""
        await topology.declare_exchange(self._link, self._exchange)
        queue = f"{self._exchange}.broadcast-{token_hex(4)}"
        async with self._link.opening(Lane(method=self._on_method, message=self._put, end=self.end)) as channel:
            self._channel = channel
            await channel.queue_declare(queue, exclusive=True, auto_delete=True)
            await channel.queue_bind(queue, self._exchange, routing_key="#")
            await channel.basic_consume(queue, never, no_ack=True)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            self._report_gap()
            if arrived := self._inbox.take(limit):
                # Nobody waits for an acknowledgement.
                self._inbox.settle(0, accepted=[each.tag for each in arrived])
                return [read(each, self._exchange, self._inbox) for each in arrived]
            await self._inbox.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Nothing is stored, so nothing is to be done."""
        self._inbox.check()
        return [Settled.DONE] * len(batch)

    async def lag(self) -> int | None:
        """How many wait for the core."""
        return self._inbox.waiting

    async def stop(self) -> None:
        """Hand out nothing more; the queue goes with its consumer."""
        if not self._stopped and self._channel is not None:
            self._stopped = True
            self._inbox.wake()
            await self._link.close_channel(self._channel)

    def end(self, reason: str) -> None:
        """The channel is gone, and the queue with it."""
        self._inbox.end(reason)

    def _on_method(self, name: bytes, _: bytes) -> bool:
        if name == CANCEL:
            self.end("RabbitMQ deleted the broadcast queue")
            if self._channel is not None:
                self._link.later(self._link.close_channel(self._channel))
        return False

    def _put(self, told: bytes, properties: bytes, body: bytes) -> None:
        if self._inbox.waiting < self._window:
            self._inbox.put(told, properties, body)
        else:
            self._missed += 1

    def _report_gap(self) -> None:
        if missed := self._missed:
            self._missed = 0
            self._notify(Alert(AlertKind.GAP, self._exchange, f"{missed} events found no room"))
