"""What stands between the core and the brokers."""

from events_core.ports.transport import Feed, Notify, Transport
from events_core.ports.values import (
    MAX_EVENT_BYTES,
    Alert,
    AlertKind,
    Capabilities,
    Delivery,
    Revoked,
    Settled,
    Settlement,
    Source,
    Subscription,
    Topic,
    Verdict,
    Wire,
)

__all__ = [
    "MAX_EVENT_BYTES",
    "Alert",
    "AlertKind",
    "Capabilities",
    "Delivery",
    "Feed",
    "Notify",
    "Revoked",
    "Settled",
    "Settlement",
    "Source",
    "Subscription",
    "Topic",
    "Transport",
    "Verdict",
    "Wire",
]
