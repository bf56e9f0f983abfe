"""The bus that applications test with."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Final
from uuid import uuid4

from events_core.errors import ConfigurationError, EventsError, SendError
from events_core.integration import IntegrationEventBus, Middleware, Registration
from events_core.memory import InMemoryBroker, InMemoryTransport
from events_core.messages import Envelope, IntegrationEvent
from events_core.ports import Topic, Wire
from events_core.testing.clock import ManualClock
from events_core.testing.faults import Faults
from events_core.testing.transport import RecordingTransport, Sent, sent
from events_core.testing.watch import Watch

__all__ = ["TestBus"]

_FAREWELL: Final = 1.0


class TestBus(IntegrationEventBus):
    """An in-memory bus whose time stands still until the test moves it.

    A payment that is taken at the second attempt, ten minutes later, in milliseconds:

        async def test_a_payment_is_taken_again_after_ten_minutes() -> None:
            billing = Billing()
            patient = RetryPolicy(delays=(600,))
            async with TestBus(Registration(billing, orders, retry=patient)) as bus:
                bus.fail_handling("billing", OSError("the bank is closed"))
                await bus.send(orders, OrderPlaced(order="o-1"))
                await bus.clock.advance(599)
                assert billing.taken == []
                await bus.clock.advance(1)
                assert billing.taken == ["o-1"]

    Buses that are given one `broker` share its topics, as processes do; its clock is a `ManualClock`, and theirs too.
    """

    __test__: ClassVar[bool] = False  # its name is no invitation to pytest

    def __init__(
        self,
        *registrations: Registration,
        source: str = "test",
        middleware: Sequence[Middleware] = (),
        broker: InMemoryBroker | None = None,
    ) -> None:
        broker = broker or InMemoryBroker(clock=ManualClock())
        if not isinstance(broker.clock, ManualClock):
            raise ConfigurationError("a TestBus moves time by hand; give it InMemoryBroker(clock=ManualClock())")
        self.clock: Final = broker.clock
        self._faults = Faults()
        self._watch = Watch(broker, self.clock)
        self._recording = RecordingTransport(InMemoryTransport(broker))
        self.clock.between(self._watch.stuck_or_idle)
        super().__init__(
            self._recording,
            source=source,
            registrations=registrations,
            middleware=(self._watch, *middleware, self._faults),
            clock=self.clock,
        )

    @property
    def sent(self) -> Sequence[Sent]:
        """What was sent and stored, in order; by handlers, too."""
        return [sent(topic, wire) for topic, wire in self._recording.stored]

    def sent_to(self, topic: Topic | str) -> Sequence[Sent]:
        """What was sent to this topic."""
        name = topic if isinstance(topic, str) else topic.name
        return [each for each in self.sent if each.topic == name]

    async def idle(self, timeout: float = 5.0) -> None:
        """Return when everything that can be handled now is handled and settled; retries that wait are left waiting.

        Raises:
            TimeoutError: it took longer than `timeout` seconds of real time; names what still runs.
        """
        await self._watch.idle(timeout)

    def fail_handling(self, consumer: str, error: Exception, times: int = 1) -> None:
        """Let a consumer fail so many times, instead of running its handlers."""
        self._faults.fail_handling(consumer, error, times)

    def fail_sending(self, error: EventsError, times: int = 1) -> None:
        """Let so many sends fail with this error, which is given the event's id; nothing is stored."""
        self._faults.fail_sending(error, times)

    async def drop(self, topic: Topic, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Put bytes into a topic as a stranger would. Headers are unprefixed: "type", "id"."""
        (result,) = await self._recording.drop(topic, [Wire(dict(headers or {}), body)])
        if result is not None:
            raise result

    async def send(
        self,
        topic: Topic,
        event: IntegrationEvent,
        *,
        id: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> str:
        """As on every bus, unless the test wants it to fail."""
        event_id = id or uuid4().hex
        if (error := self._faults.next_of_sending()) is not None:
            if isinstance(error, SendError):
                error.event_id = event_id
            raise error
        return await super().send(topic, event, id=event_id, key=key, headers=headers, timeout=timeout)

    async def send_envelopes(
        self, topic: Topic, envelopes: Sequence[Envelope], *, timeout: float = 10.0
    ) -> Sequence[EventsError | None]:
        """As on every bus; what the test wants to fail has its error as the answer."""
        planned = [self._faults.next_of_sending() for _ in envelopes]
        good = [envelope for envelope, error in zip(envelopes, planned, strict=True) if error is None]
        answers = iter(await super().send_envelopes(topic, good, timeout=timeout))
        return [next(answers) if error is None else error for error in planned]

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut down; a handler that waits for a time that never comes is cancelled after a second."""
        await self.shutdown(_FAREWELL)
