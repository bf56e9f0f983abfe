"""What an adapter implements: ten members, two protocols, no code.

The core owns ids, headers, the codec, attempts, the retry decision, lanes, concurrency, windows, group commit, the
reconnect back-off, broadcast fan-out and the dead-letter interface. An adapter owns the objects on the broker, the
durable type set, ownership and its lease, and moves batches.

Errors are those of `events_core.errors`; a client's own exception never leaves an adapter, a `CancelledError` that the
caller did not cause included. Every call ends in time, also when the broker does not answer.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from events_core.errors import EventsError
from events_core.ports.values import (
    Alert,
    Capabilities,
    Delivery,
    Revoked,
    Settled,
    Settlement,
    Subscription,
    Topic,
    Wire,
)

__all__ = ["Feed", "Notify", "Transport"]

Notify = Callable[[Revoked | Alert], None]


class Feed(Protocol):
    """One incarnation of a subscription in one process.

    Dead after `ConnectionLost`, whichever member raised it; `receive` raises it too, also when it is already waiting. The
    core then subscribes anew.
    """

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for 1 to `limit` deliveries of wanted types; a message whose type cannot be told is handed over too.

        Empty once stopped, or at the end of the dead letters. Never called twice at a time; cancelling loses nothing.

        Raises:
            ConnectionLost: the feed is dead and everything it held is, or will be, handed out elsewhere.
        """
        ...

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Settle, and answer in the batch's order. Calls may overlap: an accept never waits for somebody's copy.

        A retry or dead letter is durable before its delivery is let go. A retry is never handed out before its delay.

        Raises:
            ConnectionLost: nothing is known about the batch; whatever was not settled is handed out elsewhere.
        """
        ...

    async def lag(self) -> int | None:
        """How many events could be handed out now and are not, here or elsewhere. None: not to be told.

        Retries that wait for their time do not count: a lag that stays while nothing arrives is taken for a dead feed.
        """
        ...

    async def stop(self) -> None:
        """Hand out nothing more. The feed closes itself when the last of its deliveries is settled."""
        ...


class Transport(Protocol):
    """One process's way to one broker."""

    @property
    def capabilities(self) -> Capabilities:
        """What this broker can do; known before connecting."""
        ...

    async def open(self, notify: Notify) -> None:
        """Connect, dialling once; later dials are made by the calls that need them. Can be opened again after closing.

        Raises:
            NotConnected: the broker cannot be reached.
            BrokerSetupError: it can, and it would lose confirmed events.
        """
        ...

    async def close(self) -> None:
        """Disconnect. What was handed out and not settled goes back to its subscription. Twice is fine."""
        ...

    async def publish(self, topic: Topic, batch: Sequence[Wire]) -> Sequence[EventsError | None]:
        """Store durably for every subscription of the topic that wants the type; a result each, None for stored.

        Calls may overlap; those of one topic take effect in the order of the calls; no topic waits for another. The
        results are NotConnected (surely not stored), SendRejected or OutcomeUnknown; nothing is raised.
        """
        ...

    async def subscribe(self, subscription: Subscription) -> Feed:
        """Make the subscription's objects, its starting point and its types durable, then feed it.

        Every event whose `publish` begins after this returned is seen; of a new subscription none from before, unless
        `earliest`.

        Raises:
            NotConnected: try again later.
            TopologyMismatch: with the broker's own words; everything else keeps working.
        """
        ...

    async def remove(
        self, subscription: Subscription, *, types: frozenset[str] | None = None, force: bool = False
    ) -> None:
        """Delete the subscription on the broker; with `types`, only take these out of its durable type set.

        Removing one that is not there is fine.

        Raises:
            SubscriptionNotEmpty: there are unread, unsettled, waiting or dead events, and not `force`.
            NotConnected: try again later.
        """
        ...
