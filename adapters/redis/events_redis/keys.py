"""What stands on Redis, by name.

| key | type | what |
|---|---|---|
| `{users}` | stream | the topic's events, with a consumer group per subscription |
| `{users}.welcome.retry` | stream | what only the subscription gets: retries whose time has come, replays, hand-backs |
| `{users}.welcome.wait` | sorted set | retries that wait, by the microsecond at which they are due |
| `{users}.welcome.dead` | stream | its dead letters |
| `{users}.welcome.types` | set | the types it wants |
| `{users}.welcome.lease.<member>` | string | expires when a feed shows no sign of life |

The braces put everything of a topic into one slot. A namespace stands before all, with a dot. A group is named after its
consumer, in both streams; its members are feeds, one incarnation each.
"""

from typing import NamedTuple

from events_core.ports import Subscription

__all__ = ["Keys", "keys_of", "stream_of"]


class Keys(NamedTuple):
    """The keys of a subscription, in the order in which scripts take them."""

    topic: str
    retry: str
    wait: str
    dead: str
    types: str
    lease: str
    """What the names of leases begin with."""


def stream_of(topic: str, namespace: str) -> str:
    """The stream of a topic."""
    return f"{namespace}.{{{topic}}}" if namespace else f"{{{topic}}}"


def keys_of(subscription: Subscription, namespace: str) -> Keys:
    """Those of a subscription, in a namespace."""
    stream = stream_of(subscription.topic.name, namespace)
    return Keys(stream, *(f"{stream}.{subscription.consumer}.{name}" for name in (*Keys._fields[1:-1], "lease.")))
