"""For the tests of applications: a bus that is watched, and a clock that is moved by hand."""

from events_core.testing.bus import TestBus
from events_core.testing.clock import ManualClock
from events_core.testing.transport import Sent

__all__ = ["ManualClock", "Sent", "TestBus"]
