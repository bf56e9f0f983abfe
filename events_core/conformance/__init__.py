"""The suite that every adapter runs: the delivery contract as tests. An ordinary package, not a pytest plugin.

    class TestMyBroker(TransportConformance):
        @pytest.fixture
        def connect(self) -> Connect:
            return lambda: MyTransport("mybroker://localhost")

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
            "removing",
            "retries",
            "sending",
            "shutdown",
            "starting",
        )
    )
)

from events_core.conformance.stage import Connect  # noqa: E402 after the registration, as it says above
from events_core.conformance.suite import TransportConformance  # noqa: E402 the same

__all__ = ["Connect", "TransportConformance"]
