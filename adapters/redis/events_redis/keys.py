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

from dataclasses import dataclass

from events_core.ports import Subscription

__all__ = ["Keys", "stream_of"]


def stream_of(topic: str, namespace: str) -> str:
    """The stream of a topic."""
    return f"{namespace}.{{{topic}}}" if namespace else f"{{{topic}}}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one subscription."""

    topic: str
    group: str

    @classmethod
    def of(cls, subscription: Subscription, namespace: str) -> "Keys":
        """Those of a subscription, in a namespace."""
        return cls(stream_of(subscription.topic.name, namespace), subscription.consumer)

    @property
    def all(self) -> tuple[str, ...]:
        """In the order in which scripts take them; the last is what the names of leases begin with."""
        suffixes = ("retry", "wait", "dead", "types", "lease.")
        return (self.topic, *(f"{self.topic}.{self.group}.{suffix}" for suffix in suffixes))

    @property
    def retry(self) -> str:
        """What only this subscription gets."""
        return f"{self.topic}.{self.group}.retry"

    @property
    def dead(self) -> str:
        """Its dead letters."""
        return f"{self.topic}.{self.group}.dead"

    @property
    def types(self) -> str:
        """What it wants."""
        return f"{self.topic}.{self.group}.types"
