"""What `bus.health()` tells: progress, not just connections."""

from dataclasses import dataclass

from events_core.ports import Alert

__all__ = ["Health", "SubscriptionHealth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionHealth:
    """How one registration gets on in this process."""

    consumer: str
    topic: str
    connected: bool
    """It has a feed. The bus is subscribing anew otherwise."""
    solo: bool
    """Deliveries are handled one at a time, as one of them is suspected of ending its process."""
    held: int
    """Deliveries in this process, those that have not begun included."""
    running: tuple[float, ...]
    """For how many seconds each handler has been running."""
    last_received: float | None
    """Seconds since the last delivery arrived; None before the first."""
    lag: int | None
    """Events that could be handed out and are not, here or elsewhere; None where the broker cannot tell.

    Retries that wait for their time are not among them.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a bus gets on."""

    live: bool
    """Nothing broke that a restart would mend."""
    ready: bool
    """Started, connected, and every registration has its feed."""
    subscriptions: tuple[SubscriptionHealth, ...]
    alerts: tuple[Alert, ...]
    """The latest, the newest last."""
