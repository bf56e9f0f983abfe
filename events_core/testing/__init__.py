"""For the tests of applications: a bus that is watched, a clock that is moved by hand, and stand-ins for a database."""

from events_core.testing.bus import TestBus
from events_core.testing.clock import ManualClock
from events_core.testing.recording import AsyncRecordingBus, RecordingBus
from events_core.testing.transport import Sent
from events_core.testing.units import AsyncFakeRepository, AsyncFakeUnitOfWork, FakeRepository, FakeUnitOfWork

__all__ = [
    "AsyncFakeRepository",
    "AsyncFakeUnitOfWork",
    "AsyncRecordingBus",
    "FakeRepository",
    "FakeUnitOfWork",
    "ManualClock",
    "RecordingBus",
    "Sent",
    "TestBus",
]
