"""The events that the suite sends."""

from events_core.messages import IntegrationEvent

__all__ = ["Flagged", "MeasuredV1", "MeasuredV2", "Noted"]


class Noted(IntegrationEvent):
    """What most tests send."""

    type = "conformance.noted"
    version = 1
    number: int
    text: str = ""


class Flagged(IntegrationEvent):
    """Another type."""

    type = "conformance.flagged"
    version = 1
    number: int


class MeasuredV1(IntegrationEvent):
    """What an old replica knows."""

    type = "conformance.measured"
    version = 1
    number: int


class MeasuredV2(IntegrationEvent):
    """What only a newer replica knows."""

    type = "conformance.measured"
    version = 2
    number: int
    unit: str
