"""From the integration event bus into the message bus of a service: consuming and handling are one unit of work."""

import pytest

from events_core import AsyncMessageBus, Context, DomainEvent, IntegrationEvent, Registration, RetryPolicy
from events_core.domain import Emit, EventStream
from events_core.errors import ConfigurationError
from events_core.integration import BusConsumer, BusSink
from events_core.memory import InMemoryInbox
from events_core.testing import AsyncFakeUnitOfWork, TestBus
from tests.unit.integration.scene import ORDERS, PAYMENTS, Paid, Placed

pytestmark = pytest.mark.anyio

ONCE_MORE = RetryPolicy(delays=(60,))


class Booked(DomainEvent):
    order: str


class Shop:
    """A service: an order is booked, and then paid; each event gets a unit of work."""

    def __init__(self, bus: TestBus) -> None:
        self.units: list[AsyncFakeUnitOfWork] = []
        self.handled: list[tuple[str, int]] = []
        self.fail: Exception | None = None
        self.bus = AsyncMessageBus({Placed: self.place, Booked: self.pay})
        self._sink = BusSink(bus)

    def unit(self) -> AsyncFakeUnitOfWork:
        self.units.append(AsyncFakeUnitOfWork(stream=EventStream(self._sink, PAYMENTS)))
        return self.units[-1]

    async def place(self, event: Placed, emit: Emit, context: Context | None = None) -> None:
        self.handled.append(("place", context.attempt if context else 0))
        emit(Booked(order=event.order))

    async def pay(self, event: Booked, uow: AsyncFakeUnitOfWork) -> None:
        self.handled.append(("pay", 0))
        uow.emit(Paid(order=event.order))
        if self.fail is not None:
            raise self.fail


async def consuming(bus: TestBus, shop: Shop) -> None:
    consumer = BusConsumer("shop", shop.bus, uow=shop.unit)
    await bus.register(Registration(consumer, ORDERS, retry=ONCE_MORE))


async def test_an_event_and_all_that_it_causes_are_one_unit_of_work() -> None:
    async with TestBus() as bus:
        shop = Shop(bus)
        await consuming(bus, shop)
        await bus.send(ORDERS, Placed(order="o-1"))
        await bus.idle()
        assert shop.handled == [("place", 1), ("pay", 0)]
        assert [each.commits for each in shop.units] == [1]
        assert [each.event for each in bus.sent_to(PAYMENTS)] == [Paid(order="o-1")]


async def test_an_error_rolls_back_sends_nothing_and_the_event_is_tried_again_in_a_new_unit() -> None:
    async with TestBus() as bus:
        shop = Shop(bus)
        await consuming(bus, shop)
        shop.fail = OSError("no money")
        await bus.send(ORDERS, Placed(order="o-1"))
        await bus.idle()
        assert [each.rollbacks for each in shop.units] == [1]
        assert bus.sent_to(PAYMENTS) == []

        shop.fail = None
        await bus.clock.advance(60)
        assert shop.handled == [("place", 1), ("pay", 0), ("place", 2), ("pay", 0)]
        assert [(each.commits, each.rollbacks) for each in shop.units] == [(0, 1), (1, 0)]
        assert len(bus.sent_to(PAYMENTS)) == 1


async def test_it_consumes_the_integration_events_that_the_bus_has_handlers_for() -> None:
    got: list[object] = []
    message_bus = AsyncMessageBus({Placed: got.append, Booked: got.append, Paid: got.append})
    assert BusConsumer("shop", message_bus).events == (Placed, Paid)
    assert BusConsumer("shop", message_bus, events=[Paid]).events == (Paid,)


async def test_without_a_unit_of_work_it_hands_over_all_the_same() -> None:
    got: list[IntegrationEvent] = []
    consumer = BusConsumer("shop", AsyncMessageBus({Placed: got.append}))
    async with TestBus(Registration(consumer, ORDERS)) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
        assert got == [Placed()]


async def test_a_unit_of_work_may_have_to_be_awaited() -> None:
    async with TestBus() as bus:
        shop = Shop(bus)

        async def unit() -> AsyncFakeUnitOfWork:
            return shop.unit()

        await bus.register(Registration(BusConsumer("shop", shop.bus, uow=unit), ORDERS, retry=ONCE_MORE))
        await bus.send(ORDERS, Placed(order="o-1"))
        await bus.idle()
        assert [each.commits for each in shop.units] == [1]


async def test_with_an_inbox_an_event_that_comes_twice_takes_effect_once() -> None:
    async with TestBus() as bus:
        shop, inbox, noted_in = Shop(bus), InMemoryInbox(), list[AsyncFakeUnitOfWork]()

        def inbox_of(uow: AsyncFakeUnitOfWork) -> InMemoryInbox:
            noted_in.append(uow)
            return inbox

        consumer = BusConsumer("shop", shop.bus, uow=shop.unit, inbox=inbox_of)
        await bus.register(Registration(consumer, ORDERS, retry=ONCE_MORE))
        shop.fail = OSError("no bank")
        await bus.send(ORDERS, Placed(order="o-1"), id="once")
        await bus.idle()
        shop.fail = None
        await bus.clock.advance(60)
        await bus.send(ORDERS, Placed(order="o-1"), id="once")
        await bus.idle()
        assert shop.handled == [("place", 1), ("pay", 0), ("place", 2), ("pay", 0)]
        assert [each.commits for each in shop.units] == [0, 1, 0]
        assert noted_in == shop.units
        assert [each.event for each in bus.sent_to(PAYMENTS)] == [Paid(order="o-1")]
        assert await bus.dead_letters("shop", ORDERS).list() == []


async def test_an_inbox_needs_a_unit_of_work() -> None:
    with pytest.raises(ConfigurationError, match=r"give uow=\.\.\. as well"):
        BusConsumer("shop", AsyncMessageBus(), inbox=lambda _: InMemoryInbox())
