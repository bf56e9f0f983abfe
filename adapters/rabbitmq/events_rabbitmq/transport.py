"""The transport: one connection to publish on, one to consume on."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from events_core.errors import (
    EventsError,
    MalformedMessage,
    NotConnected,
    OutcomeUnknown,
    SendRejected,
    SubscriptionNotEmpty,
)
from events_core.messages import JsonCodec
from events_core.ports import Alert, AlertKind, Capabilities, Feed, Notify, Source, Subscription, Topic, Wire
from events_rabbitmq import topology
from events_rabbitmq.amqp.link import Line, Link
from events_rabbitmq.amqp.publisher import Outcome, Publisher, Target
from events_rabbitmq.broadcast import BroadcastFeed
from events_rabbitmq.dead_letters import DeadLetterFeed
from events_rabbitmq.feeds import EventFeed
from events_rabbitmq.settings import RabbitMQSettings, parse
from events_rabbitmq.topology import Names
from events_rabbitmq.wire import encode

__all__ = ["RabbitMQTransport"]

_DEFAULT: Final = ""
"""The exchange that knows every queue by its name."""
_FORBIDDEN: Final = "403 "


class RabbitMQTransport:
    """One process's way to a RabbitMQ broker, 3.10 or later."""

    def __init__(self, url: str, settings: RabbitMQSettings | None = None) -> None:
        address, self._settings = parse(url, settings or RabbitMQSettings())
        self._publishing = Line(address, self._settings, "publish")
        self._consuming = Line(address, self._settings, "consume")
        self._codec = JsonCodec()
        self._notify: Notify | None = None
        self._publishers: dict[str, Publisher] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._fed: set[Names] = set()
        self._unwanted: set[Target] = set()

    @property
    def capabilities(self) -> Capabilities:
        """Durable, and it counts; neither order nor history."""
        limit = self._settings.consumer_timeout
        return Capabilities(durable=True, ordered=False, earliest=False, counts_starts=True, hold_limit=limit)

    async def open(self, notify: Notify) -> None:
        """Connect twice: a broker short of memory or disk stops whoever publishes, and accepts have to flow."""
        self._notify = notify
        try:
            await self._consuming.link()
            await self._publishing.link()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect: the broker takes back what was not settled."""
        self._notify = None
        self._publishers.clear()
        await asyncio.gather(self._consuming.close(), self._publishing.close())

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Publish to the topic's exchange; an event's routing key is its type."""
        try:
            exchange = topology.exchange_of(topic.name, self._settings.namespace)
            async with self._turns[exchange]:
                publisher = await self._ready_publisher(exchange)
                written = await publisher.write(
                    [(Target(exchange, self._type_of(wire)), encode(wire, publisher.link.frame_max)) for wire in batch]
                )
            outcomes = await publisher.outcomes(written)
            return [_result(outcome, publisher.ended) for outcome in outcomes]
        except EventsError as error:
            kind = NotConnected if isinstance(error, NotConnected) else SendRejected
            return [_caused(kind(str(error)), error) for _ in batch]

    async def subscribe(self, subscription: Subscription) -> Feed:
        """Declare, bind, consume."""
        notify = self._opened()
        names = Names.of(subscription, self._settings.namespace)
        link = await self._consuming.link()
        feed: EventFeed | DeadLetterFeed | BroadcastFeed
        if subscription.source is Source.BROADCAST:
            feed = BroadcastFeed(link, names.exchange, subscription.window, notify)
        elif subscription.source is Source.DEAD:
            feed = DeadLetterFeed(link, names, self._copy)
        else:
            waits = await self._declare(link, names, subscription, notify)
            feed = EventFeed(link, names, waits, self._copy, window=subscription.window)
        await feed.open()
        return feed

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """Delete the queues, or some bindings."""
        self._opened()
        names = Names.of(subscription, self._settings.namespace)
        link = await self._consuming.link()
        if types is not None:
            await topology.unbind(link, names, types)
            return
        if not force:
            await _refuse_backlog(link, names)
        await topology.delete(link, names)
        self._fed.discard(names)

    def _opened(self) -> Notify:
        if self._notify is None:
            raise NotConnected("the RabbitMQ transport is not open")
        return self._notify

    async def _declare(
        self, link: Link, names: Names, subscription: Subscription, notify: Notify
    ) -> Mapping[float, str]:
        deleted = names in self._fed and await topology.depth(link, names.queue) is None
        waits = await topology.declare(link, names, subscription)
        self._fed.add(names)
        if deleted:
            subject = f"{subscription.consumer}.{subscription.topic.name}"
            notify(Alert(AlertKind.RECREATED, subject, "it had been deleted; the events it held are lost"))
        return waits

    async def _ready_publisher(self, exchange: str) -> Publisher:
        """One for each exchange: a channel dies with all that is unconfirmed on it when one exchange is forbidden."""
        self._opened()
        publisher = self._publishers.get(exchange)
        if publisher is None or publisher.ended is not None:
            if publisher is not None:
                publisher.close()
            publisher = Publisher(await self._publishing.link(), self._report_unrouted)
            if exchange:
                await topology.declare_exchange(publisher.link, exchange)
            await publisher.open()
            self._publishers[exchange] = publisher
        return publisher

    async def _copy(self, copies: Sequence[tuple[str, Wire]]) -> Sequence[Outcome]:
        async with self._turns[_DEFAULT]:
            publisher = await self._ready_publisher(_DEFAULT)
            frame_max = publisher.link.frame_max
            written = await publisher.write(
                [(Target(_DEFAULT, queue), encode(wire, frame_max)) for queue, wire in copies]
            )
        return await publisher.outcomes(written)

    def _type_of(self, wire: Wire) -> str:
        """By the headers, else by the body; a message that tells neither goes to every subscription."""
        if (named := wire.headers.get("type")) is not None:
            return named
        with suppress(MalformedMessage):
            return self._codec.peek(wire.body)[0]
        return topology.ANY_TYPE

    def _report_unrouted(self, target: Target) -> None:
        """Once each: a topic without subscriptions may be meant so."""
        if target.exchange and target not in self._unwanted and self._notify is not None:
            self._unwanted.add(target)
            self._notify(Alert(AlertKind.UNROUTED, target.exchange, f"no subscription wants {target.routing_key}"))


async def _refuse_backlog(link: Link, names: Names) -> None:
    queues = (names.queue, names.dead, *await topology.existing_waits(link, names))
    depths = [each for queue in queues if (each := await topology.depth(link, queue)) is not None]
    if backlog := sum(each.ready for each in depths):
        raise SubscriptionNotEmpty(f"{names.queue} still holds {backlog} events; handle or force")
    if consumers := sum(each.consumers for each in depths):
        # What they hold unsettled cannot be seen from here.
        raise SubscriptionNotEmpty(f"{names.queue} is being consumed {consumers} times; stop these processes, or force")


def _result(outcome: Outcome, ended: str | None) -> EventsError | None:
    if outcome is Outcome.UNKNOWN and ended is not None and ended.startswith(_FORBIDDEN):
        return SendRejected(f"RabbitMQ: {ended}")
    match outcome:
        case Outcome.REFUSED:
            return SendRejected("RabbitMQ did not take the event for at least one subscription; is a queue full?")
        case Outcome.UNKNOWN:
            return OutcomeUnknown(f"no confirm from RabbitMQ ({ended or 'not in time'}); send again with the same id")
        case _:
            return None


def _caused(error: EventsError, cause: EventsError) -> EventsError:
    error.__cause__ = cause
    return error
