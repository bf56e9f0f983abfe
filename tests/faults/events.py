from events_core import IntegrationEvent


class Work(IntegrationEvent):
    """Tells its handler how to behave."""

    type = "faults.work"
    version = 1
    number: int
    hold: bool = False
    """Wait until the worker's gate is open."""
    seconds: float = 0.0
    """Take so long."""
    failures: int = 0
    """Fail the first attempts."""
    reject: bool = False
    """Become a dead letter."""
    deadly: bool = False
    """End the process."""
    padding: str = ""


class Toil(IntegrationEvent):
    """As slow as it says, in a thread."""

    type = "faults.toil"
    version = 1
    number: int
    seconds: float = 0.0
