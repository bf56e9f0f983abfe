"""How an event that is sent from a handler belongs to the one that is handled."""

from collections.abc import Mapping
from typing import Final

from events_core.integration.context import current_context
from events_core.messages import DomainEvent, Envelope, IntegrationEvent, Sealer

__all__ = ["seal"]

_TRACEPARENT: Final = "traceparent"


def seal(
    sealer: Sealer,
    event: IntegrationEvent | DomainEvent,
    *,
    id: str,
    time: float,
    key: str | None,
    headers: Mapping[str, str] | None,
) -> Envelope:
    """Seal an event; inside a handler it inherits correlation, causation and trace context."""
    cause = current_context()
    if cause is not None and (trace := cause.headers.get(_TRACEPARENT)):
        headers = {_TRACEPARENT: trace, **(headers or {})}
    return sealer.seal(
        event,
        id=id,
        time=time,
        key=key,
        correlation_id=cause.correlation_id if cause is not None else id,
        causation_id=cause.id if cause is not None else None,
        headers=headers,
    )
