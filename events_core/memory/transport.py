"""The in-memory transport: the embedded default, under the same promises as a broker's."""

from collections.abc import Sequence

from events_core.errors import EventsError, NotConnected, SubscriptionNotEmpty
from events_core.memory.broker import Inlet, InMemoryBroker, Stored, StoredSubscription, StoredTopic
from events_core.memory.feeds import BroadcastFeed, DeadLetterFeed, EventFeed
from events_core.ports import Alert, AlertKind, Capabilities, Feed, Notify, Source, Subscription, Topic, Wire

__all__ = ["InMemoryTransport"]


class InMemoryTransport:
    """One process's way to an `InMemoryBroker`, in the same process."""

    __slots__ = ("_broker", "_fed", "_feeds", "_notify")

    def __init__(self, broker: InMemoryBroker | None = None) -> None:
        self._broker = broker or InMemoryBroker()
        self._notify: Notify | None = None
        self._feeds: set[EventFeed | DeadLetterFeed | BroadcastFeed] = set()
        self._fed: set[tuple[str, str]] = set()

    @property
    def capabilities(self) -> Capabilities:
        """Durable within the process; neither order nor history."""
        return Capabilities(durable=True, ordered=False, earliest=False, counts_starts=True, hold_limit=None)

    async def open(self, notify: Notify) -> None:
        """Join the broker."""
        if not self._broker.reachable:
            raise NotConnected("the in-memory broker cannot be reached")
        if self._notify is None:
            self._broker.join(self)
        self._notify = notify

    async def close(self) -> None:
        """Give back what is held, and leave."""
        if self._notify is None:
            return
        self._notify = None
        self.cut()
        self._broker.leave(self)
        self._broker.wake_senders()

    def cut(self) -> None:
        """End all feeds: what they hold goes back, and the next call finds a new connection, if there is one."""
        for feed in list(self._feeds):
            feed.cut()
        self._feeds.clear()

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Append to every subscription that wants the event, waiting where one is full."""
        stored_topic = self._broker.topic(topic.name)
        try:
            async with stored_topic.turn:
                return [await self._publish_one(topic.name, stored_topic, wire) for wire in batch]
        finally:
            self._broker.forget_unused(topic.name)

    async def subscribe(self, subscription: Subscription) -> Feed:
        """Make the subscription where there is none, add its types, and feed it."""
        notify = self._connected()
        topic = self._broker.topic(subscription.topic.name)
        if subscription.source is Source.BROADCAST:
            return self._broadcast(subscription, topic, notify)
        if subscription.source is Source.DEAD:
            read = topic.subscriptions.get(subscription.consumer) or StoredSubscription(set())
            return self._add(DeadLetterFeed(read, self._forget))
        stored = topic.subscriptions.get(subscription.consumer)
        if stored is None:
            stored = topic.subscriptions[subscription.consumer] = StoredSubscription(set())
            self._report_recreation(subscription, notify)
        self._fed.add((subscription.topic.name, subscription.consumer))
        stored.types |= subscription.types
        return self._add(EventFeed(self._broker, stored, subscription.window, self._forget))

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """Delete the subscription or some of its types."""
        self._connected()
        subscriptions = self._broker.topic(subscription.topic.name).subscriptions
        stored = subscriptions.get(subscription.consumer)
        if stored is None:
            return
        if types is not None:
            stored.types -= types
            stored.left.set()
            return
        if (backlog := stored.stored + len(stored.dead)) and not force:
            message = f"{subscription.consumer}.{subscription.topic.name} still holds {backlog} events; handle or force"
            raise SubscriptionNotEmpty(message)
        del subscriptions[subscription.consumer]
        self._fed.discard((subscription.topic.name, subscription.consumer))
        stored.removed = True
        stored.arrived.set()
        stored.left.set()

    def _connected(self) -> Notify:
        if self._notify is None or not self._broker.reachable:
            raise self._not_connected()
        return self._notify

    def _not_connected(self) -> NotConnected:
        what = "transport is not open" if self._notify is None else "broker cannot be reached"
        return NotConnected(f"the in-memory {what}")

    def _broadcast(self, subscription: Subscription, topic: StoredTopic, notify: Notify) -> Feed:
        inlet = Inlet(subscription.window)
        topic.broadcasts.append(inlet)
        name = subscription.topic.name

        def forget(feed: BroadcastFeed) -> None:
            self._forget(feed)
            self._broker.forget_unused(name)

        return self._add(BroadcastFeed(topic, name, inlet, notify, forget))

    def _report_recreation(self, subscription: Subscription, notify: Notify) -> None:
        if (subscription.topic.name, subscription.consumer) in self._fed:
            subject = f"{subscription.consumer}.{subscription.topic.name}"
            notify(Alert(AlertKind.RECREATED, subject, "it had been removed; the events it held are lost"))

    def _add(self, feed: EventFeed | DeadLetterFeed | BroadcastFeed) -> Feed:
        self._feeds.add(feed)
        return feed

    def _forget(self, feed: EventFeed | DeadLetterFeed | BroadcastFeed) -> None:
        self._feeds.discard(feed)

    async def _publish_one(self, name: str, topic: StoredTopic, wire: Wire) -> EventsError | None:
        type_ = self._broker.type_of(wire)
        while full := self._full(topic, type_):
            await full.left.wait()
        if self._notify is None or not self._broker.reachable:
            return self._not_connected()
        wanting: list[StoredSubscription | Inlet] = [s for s in topic.subscriptions.values() if s.wants(type_)]
        origin = self._broker.origin(name)
        for place in wanting + list(topic.broadcasts):
            place.put(Stored(wire, origin))
        return None

    def _full(self, topic: StoredTopic, type_: str | None) -> StoredSubscription | None:
        if self._notify is None or not self._broker.reachable:
            return None
        capacity = self._broker.capacity
        return next((s for s in topic.subscriptions.values() if s.stored >= capacity and s.wants(type_)), None)
