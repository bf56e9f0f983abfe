import pytest

from events_core.conformance import Connect, TransportConformance
from events_core.memory import InMemoryBroker, InMemoryTransport


@pytest.mark.broker("memory")
class TestInMemoryTransport(TransportConformance):
    delays = (0.1, 0.3)

    @pytest.fixture
    def connect(self) -> Connect:
        broker = InMemoryBroker()
        return lambda: InMemoryTransport(broker)
