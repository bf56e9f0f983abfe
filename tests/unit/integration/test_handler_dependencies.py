"""The handlers of an integration event get what their parameters name, as those of a message bus do."""

from collections.abc import Callable

import pytest

from events_core import Context, EventHandlerConsumer, Registration, RetryPolicy
from events_core.domain import Factory
from events_core.errors import ConfigurationError
from events_core.testing import TestBus
from tests.unit.integration.scene import ORDERS, Placed

pytestmark = pytest.mark.anyio


class Welcome:
    """A handler class with something in its constructor."""

    def __init__(self, notes: list[str], greeting: str = "hello") -> None:
        self._notes = notes
        self._greeting = greeting

    async def handle(self, event: Placed, context: Context) -> None:
        self._notes.append(f"{self._greeting} {event.order} {context.attempt}")


async def test_handlers_name_values_factories_and_the_context() -> None:
    notes, made = list[str](), list[object]()

    async def make() -> object:
        made.append(object())
        return made[-1]

    async def first(event: Placed, connection: object, context: Context) -> None:
        notes.append(f"first {context.handler.rpartition('.')[2] if context.handler else None}")
        assert connection is made[-1]

    def second(event: Placed, connection: object, notes: list[str]) -> None:
        notes.append("second")
        assert connection is made[-1]

    consumer = EventHandlerConsumer(
        "shop", {Placed: [Welcome, first, second]}, dependencies={"notes": notes, "connection": Factory(make)}
    )
    async with TestBus(Registration(consumer, ORDERS)) as bus:
        await bus.send(ORDERS, Placed(order="o-1"))
        await bus.send(ORDERS, Placed(order="o-2"))
        await bus.idle()
    assert sorted(notes) == sorted(["hello o-1 1", "hello o-2 1", *["first first", "second"] * 2])
    assert len(made) == 2


async def test_on_event_gives_the_same() -> None:
    notes: list[str] = []
    consumer = EventHandlerConsumer("shop", {Placed: [Welcome]}, dependencies={"notes": notes, "greeting": "hi"})
    context = Context(
        id="1", type="t", version=1, source="s", time=None, key=None, attempt=3, correlation_id="1",
        causation_id=None, headers={}, consumer="shop", topic="orders",
    )  # fmt: skip
    await consumer.on_event(Placed(order="o-1"), context)
    assert notes == ["hi o-1 3"]


async def test_what_nobody_gives_is_an_error_when_the_handler_is_added() -> None:
    def needy(event: Placed, database: object) -> None:
        """Needs what is not there."""

    with pytest.raises(ConfigurationError, match="needs database, and nobody gives it; there is context"):
        EventHandlerConsumer("shop", {Placed: [needy]})
    with pytest.raises(ConfigurationError, match="needs database"):
        EventHandlerConsumer("shop").on(Placed)(needy)
    with pytest.raises(ConfigurationError, match="context comes from the bus itself"):
        EventHandlerConsumer("shop", dependencies={"context": 1})


async def test_a_factory_that_fails_is_the_handlers_failure_and_tried_again() -> None:
    attempts: list[int] = []

    def make() -> str:
        attempts.append(len(attempts) + 1)
        if len(attempts) == 1:
            raise OSError("no connection")
        return "connection"

    handled: list[str] = []

    def handle(event: Placed, connection: str) -> None:
        handled.append(connection)

    consumer = EventHandlerConsumer("shop", {Placed: [handle]}, dependencies={"connection": Factory(make)})
    async with TestBus(Registration(consumer, ORDERS, retry=RetryPolicy(delays=(60,)))) as bus:
        await bus.send(ORDERS, Placed())
        await bus.idle()
        assert handled == []
        await bus.clock.advance(60)
        assert handled == ["connection"]


def test_two_handlers_of_one_name_are_refused_as_retries_know_them_by_name() -> None:
    consumer = EventHandlerConsumer("shop")

    def handler() -> Callable[[Placed], None]:
        def handle(event: Placed) -> None:
            """Is called as another one."""

        return handle

    consumer.add_handler(Placed, handler())
    with pytest.raises(ConfigurationError, match="give it a name of its own"):
        consumer.add_handler(Placed, handler())
