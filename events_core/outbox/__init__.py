"""State and events in one transaction: the outbox, its relay, and the inbox on the other side."""

from events_core.outbox.deduplication import Deduplication, InboxRetention
from events_core.outbox.opening import open_store
from events_core.outbox.outbox import Outbox, OutboxOptions
from events_core.outbox.relay import OutboxRelay, RelayHealth
from events_core.outbox.settings import RelaySettings

__all__ = [
    "Deduplication",
    "InboxRetention",
    "Outbox",
    "OutboxOptions",
    "OutboxRelay",
    "RelayHealth",
    "RelaySettings",
    "open_store",
]
