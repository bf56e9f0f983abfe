from collections.abc import Callable
from dataclasses import replace

import pytest

from events_core import Consumer, Context, EventHandlerConsumer, InMemoryEventBus, IntegrationEvent, Registration
from events_core.errors import ConfigurationError, DuplicateRegistration, UnsupportedCapability
from events_core.memory import InMemoryTransport
from tests.unit.integration.scene import ORDERS, Paid, Placed, Recorder

CAPABILITIES = InMemoryTransport().capabilities


class Nameless(Consumer):
    events = (Placed,)

    async def on_event(self, event: IntegrationEvent, context: Context) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {"events": ()},
        {"concurrency": 0},
        {"concurrency": 101},
        {"prefetch": 5},
        {"timeout": 0},
        {"max_deliveries": 0},
        {"start": "yesterday"},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="recorder"):
        Registration(Recorder(), ORDERS, **options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["", "a.b", "a b", "ä", "x" * 101])
def test_a_name_that_brokers_would_spell_differently_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="consumer name"):
        Registration(Recorder(name), ORDERS)


def test_a_consumer_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="consumer name"):
        Registration(Nameless(), ORDERS)


def test_an_event_without_a_handler_is_refused() -> None:
    consumer = EventHandlerConsumer("shop", {Placed: [accept]})
    with pytest.raises(ConfigurationError, match="shop has no handler for Paid"):
        Registration(consumer, ORDERS, events=(Placed, Paid))


async def accept(event: IntegrationEvent) -> None: ...


def test_the_same_consumer_on_the_same_topic_is_refused() -> None:
    with pytest.raises(DuplicateRegistration, match=r"recorder\.orders"):
        InMemoryEventBus(source="s", registrations=[Registration(Recorder(), ORDERS), Registration(Recorder(), ORDERS)])


@pytest.mark.parametrize(
    ("registration", "lacking"),
    [
        (Registration(Recorder(), ORDERS, ordered=True), {}),
        (Registration(Recorder(), ORDERS, start="earliest"), {}),
        (Registration(Recorder(), ORDERS), {"durable": False}),
        (Registration(Recorder(), ORDERS, timeout=61), {"hold_limit": 60.0}),
    ],
)
def test_what_the_broker_cannot_keep_is_refused(registration: Registration, lacking: dict[str, bool]) -> None:
    with pytest.raises(UnsupportedCapability, match=r"recorder\.orders"):
        registration.check(replace(CAPABILITIES, **lacking))


def test_what_the_broker_can_keep_is_accepted() -> None:
    Registration(Recorder(), ORDERS, timeout=60).check(replace(CAPABILITIES, hold_limit=60.0))
    Registration(Recorder(), ORDERS, broadcast=True).check(replace(CAPABILITIES, durable=False))


def no_event() -> None: ...


def by_keyword(*, event: Placed) -> None: ...


def asks_for_more(event: Placed, context: Context, database: object) -> None: ...


@pytest.mark.parametrize(
    ("handler", "advice"),
    [
        (no_event, "first parameter"),
        (by_keyword, "by position"),
        (asks_for_more, "needs database, and nobody gives it"),
        (3, "int cannot be a handler"),
    ],
)
def test_a_handler_that_could_not_be_called_is_refused(handler: Callable[..., None], advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        EventHandlerConsumer("shop").add_handler(Placed, handler)


def test_one_handler_twice_is_refused_as_a_retry_knows_handlers_by_name() -> None:
    with pytest.raises(ConfigurationError, match="handles Placed already"):
        EventHandlerConsumer("shop", {Placed: [accept, accept]})


def test_a_decorated_handler_is_added_and_stays_what_it_was() -> None:
    consumer = EventHandlerConsumer("shop")
    assert consumer.on(Placed)(accept) is accept
    assert Registration(consumer, ORDERS).event_types == (Placed,)
