"""Buses for the tests of `events topology`."""

from events_core import EventHandlerConsumer, InMemoryEventBus, IntegrationEvent, Registration, RetryPolicy, Topic


class Ordered(IntegrationEvent):
    type = "shop.ordered"
    version = 1


class OrderedWithPrice(IntegrationEvent):
    type = "shop.ordered"
    version = 2
    price: int


class Shown(IntegrationEvent):
    type = "shop.shown"
    version = 1


def note(event: IntegrationEvent) -> None: ...


billing = EventHandlerConsumer("billing", {Ordered: [note], OrderedWithPrice: [note]})
screen = EventHandlerConsumer("screen", {Shown: [note]})

empty = InMemoryEventBus(source="nobody")
tricky = InMemoryEventBus(source='"<tricky>" & more')
price = 7


def bus() -> InMemoryEventBus:
    return InMemoryEventBus(
        source="shop",
        registrations=[
            Registration(billing, Topic("orders"), retry=RetryPolicy(delays=(0.5, 5, 90, 120, 7200), immediate=1)),
            Registration(screen, Topic("orders"), broadcast=True, retry=RetryPolicy(delays=())),
            Registration(screen, Topic("payments")),
        ],
    )


def broken() -> InMemoryEventBus:
    raise LookupError("DATABASE_URL is not set")


class Settings:
    bus = empty
