import pytest

from events_core.conformance import Connect, Faults, TransportConformance, Unsafe
from events_core.memory import InMemoryBroker, InMemoryTransport
from tests.conformance.memory import InMemoryFaults


@pytest.mark.broker("memory")
class TestInMemoryTransport(TransportConformance):
    delays = (0.1, 0.3)

    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    def connect(self, broker: InMemoryBroker) -> Connect:
        return lambda: InMemoryTransport(broker)

    @pytest.fixture
    def faults(self, broker: InMemoryBroker) -> Faults:
        return InMemoryFaults(broker)

    @pytest.fixture
    def unsafe(self) -> Unsafe | None:
        return None
