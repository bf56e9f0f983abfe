"""The whole suite as one class."""

from typing import ClassVar, Final

from events_core.conformance.bounds import Bounds
from events_core.conformance.broadcast import Broadcast
from events_core.conformance.contracts import Contracts
from events_core.conformance.crash_loops import CrashLoops
from events_core.conformance.dead_letters import DeadLettersKept
from events_core.conformance.delivery import Delivering
from events_core.conformance.errors import Errors
from events_core.conformance.outages import Outages
from events_core.conformance.ownership import Ownership
from events_core.conformance.removing import Removing
from events_core.conformance.retries import Retries
from events_core.conformance.safety import Safety
from events_core.conformance.sending import Sending
from events_core.conformance.shutdown import Shutdown
from events_core.conformance.starting import Starting

__all__ = ["TransportConformance"]

_TEST: Final = "test_"


# pytest has no way but inheritance to hand over tests. The parts share no state and call nothing of each other.
class TransportConformance(
    Sending,
    Starting,
    Delivering,
    Removing,
    Retries,
    DeadLettersKept,
    Ownership,
    Shutdown,
    Bounds,
    Contracts,
    CrashLoops,
    Outages,
    Safety,
    Broadcast,
    Errors,
):
    """Every promise of the delivery contract.

    An adapter derives a `Test...` class with the fixtures `connect`, `faults` and `unsafe`. A derived class cannot override a test. What an adapter does not pass yet goes into `known_gaps`.
    """

    tests: ClassVar[frozenset[str]] = frozenset()
    """The names of all tests of the suite."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        overridden = [
            name for name in sorted(cls.tests) if getattr(cls, name) is not getattr(TransportConformance, name)
        ]
        if overridden:
            raise TypeError(f"{cls.__name__} overrides {', '.join(overridden)}; name a test in known_gaps instead")
        if unknown := sorted(cls.known_gaps.keys() - cls.tests):
            raise TypeError(f"{cls.__name__}.known_gaps names {', '.join(unknown)}, which the suite does not have")


TransportConformance.tests = frozenset(name for name in dir(TransportConformance) if name.startswith(_TEST))
