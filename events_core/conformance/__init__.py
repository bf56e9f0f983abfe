"""The suite that every adapter runs: the delivery contract as tests. An ordinary package, not a pytest plugin.

    class TestMyBroker(TransportConformance):
        @pytest.fixture
        def connect(self) -> Connect:
            return lambda: MyTransport("mybroker://localhost")

        @pytest.fixture
        def faults(self) -> Faults:
            return MyFaults()

        @pytest.fixture
        def unsafe(self) -> Unsafe | None:
            return Unsafe(connect=connect_to_what_forgets, setting="fsync")

Runs on asyncio under the pytest plugin that comes with anyio. Install it as `events-core[conformance]`.
"""

import pytest

# Before the tests are imported: without it a failure shows a bare AssertionError.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "bounds",
            "broadcast",
            "contracts",
            "crash_loops",
            "dead_letters",
            "delivery",
            "errors",
            "outages",
            "ownership",
            "recorder",
            "removing",
            "retries",
            "safety",
            "sending",
            "shutdown",
            "stage",
            "starting",
        )
    )
)

from events_core.conformance.faults import Faults, Unsafe  # noqa: E402 after the registration, as it says above
from events_core.conformance.stage import Connect  # noqa: E402 the same
from events_core.conformance.suite import TransportConformance  # noqa: E402 the same

__all__ = ["Connect", "Faults", "TransportConformance", "Unsafe"]
