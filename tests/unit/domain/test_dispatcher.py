"""Domain events that are stored as they happen and handled together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from events_core.domain import (
    DomainEventDispatcher,
    DomainEventHandler,
    HandlerRegistry,
    OnError,
    RegisteredHandlers,
)
from events_core.errors import ConfigurationError, DuplicateHandler
from events_core.messages import DomainEvent
from tests.unit.domain.scene import Brewed, CupSold, Machine, Poured, StockFell

pytestmark = pytest.mark.anyio


class Journal:
    """What was handled, and the dispatcher that handlers may store events with."""

    def __init__(self, *, on_error: OnError = OnError.RAISE) -> None:
        self.handled: list[str] = []
        self.made: list[type[Any]] = []
        self.registry = HandlerRegistry()
        self.registry.register(Brewed, Pour, Count)
        self.registry.register(Poured, Wipe)
        self.dispatcher = DomainEventDispatcher(RegisteredHandlers(self.registry, self._make), on_error=on_error)

    async def _make(self, handler_type: type[Any]) -> object:
        self.made.append(handler_type)
        return handler_type(self)


class Pour(DomainEventHandler[Brewed]):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def handle(self, event: Brewed) -> str:
        self._journal.handled.append(f"pour {event.number}")
        if event.number < 0:
            raise OSError("spilled")
        if event.number < 10:
            self._journal.dispatcher.store_event(Poured(number=event.number))
        return "poured"


class Count(DomainEventHandler[Brewed]):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def handle(self, event: Brewed) -> None:
        self._journal.handled.append(f"count {event.number}")


class Wipe(DomainEventHandler[Poured]):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def handle(self, event: Poured) -> None:
        self._journal.handled.append(f"wipe {event.number}")


async def test_nothing_is_handled_before_process() -> None:
    journal = Journal()
    journal.dispatcher.store_event(Brewed(number=10))
    assert journal.handled == []
    assert list(await journal.dispatcher.process()) == ["poured", None]
    assert journal.handled == ["pour 10", "count 10"]


async def test_events_that_handlers_store_are_processed_behind_those_that_wait() -> None:
    journal = Journal()
    journal.dispatcher.store_events([Brewed(number=1), Brewed(number=2)])
    await journal.dispatcher.process()
    assert journal.handled == ["pour 1", "count 1", "pour 2", "count 2", "wipe 1", "wipe 2"]


async def test_events_are_processed_once() -> None:
    journal = Journal()
    journal.dispatcher.store_event(Brewed())
    await journal.dispatcher.process()
    handled = list(journal.handled)
    await journal.dispatcher.process()
    assert journal.handled == handled


async def test_the_events_of_an_aggregate_are_taken_from_it() -> None:
    journal, machine = Journal(), Machine()
    machine.raise_events(Poured(number=1), Poured(number=2))
    journal.dispatcher.from_entity(machine)
    assert machine.pop_events() == []
    await journal.dispatcher.process()
    assert journal.handled == ["wipe 1", "wipe 2"]


async def test_an_integration_event_of_an_aggregate_is_refused_and_nothing_is_stored() -> None:
    journal, machine = Journal(), Machine()
    machine.raise_events(Poured(), StockFell())
    with pytest.raises(ConfigurationError, match="StockFell is no domain event"):
        journal.dispatcher.from_entity(machine)
    await journal.dispatcher.process()
    assert journal.handled == []


async def test_a_published_event_is_refused_as_nobody_would_send_it() -> None:
    journal, machine = Journal(), Machine()
    machine.raise_events(Brewed(), CupSold())
    with pytest.raises(ConfigurationError, match="CupSold is for other services and leaves with a unit of work"):
        journal.dispatcher.from_entity(machine)
    await journal.dispatcher.process()
    assert journal.handled == []


async def test_the_end_of_a_block_processes() -> None:
    journal = Journal()
    async with journal.dispatcher as dispatcher:
        dispatcher.store_event(Poured())
        assert journal.handled == []
    assert journal.handled == ["wipe 0"]


async def test_a_block_that_fails_leaves_nothing_behind() -> None:
    journal = Journal()

    async def fail() -> None:
        async with journal.dispatcher as dispatcher:
            dispatcher.store_event(Poured())
            raise OSError("no water")

    with pytest.raises(OSError, match="no water"):
        await fail()
    await journal.dispatcher.process()
    assert journal.handled == []


async def test_a_handler_that_fails_ends_the_processing_and_drops_the_rest() -> None:
    journal = Journal()
    journal.dispatcher.store_events([Brewed(number=-1), Poured()])
    with pytest.raises(OSError, match="spilled"):
        await journal.dispatcher.process()
    await journal.dispatcher.process()
    assert journal.handled == ["pour -1"]


async def test_a_dispatcher_that_logs_errors_goes_on() -> None:
    journal = Journal(on_error=OnError.LOG)
    journal.dispatcher.store_events([Brewed(number=-1), Poured()])
    results = await journal.dispatcher.process()
    assert journal.handled == ["pour -1", "count -1", "wipe 0"]
    assert [str(each.error) for each in results.outcomes if each.error] == ["spilled"]


async def test_handlers_are_made_for_each_event_when_its_turn_comes() -> None:
    journal = Journal()
    journal.dispatcher.store_event(Brewed())
    assert journal.made == []
    await journal.dispatcher.process()
    assert journal.made == [Pour, Count, Wipe]


async def test_an_event_without_handler_is_ignored() -> None:
    class Forgotten(DomainEvent):
        pass

    journal = Journal()
    journal.dispatcher.store_event(Forgotten())
    assert list(await journal.dispatcher.process()) == []


async def test_a_handler_may_process_by_itself_and_the_outer_one_goes_on() -> None:
    registry, handled = HandlerRegistry(), list[str]()
    dispatcher = DomainEventDispatcher(RegisteredHandlers(registry, lambda each: each()))

    class Impatient(DomainEventHandler[Brewed]):
        async def handle(self, event: Brewed) -> None:
            await dispatcher.process()
            dispatcher.store_event(Poured())

    class Last(DomainEventHandler[Poured]):
        async def handle(self, event: Poured) -> None:
            handled.append("last")

    registry.register(Brewed, Impatient)
    registry.register(Poured, Last)
    dispatcher.store_event(Brewed())
    await dispatcher.process()
    assert handled == ["last"]


async def test_a_handler_is_registered_once_for_an_event() -> None:
    registry = HandlerRegistry()
    registry.register(Brewed, Pour)
    with pytest.raises(DuplicateHandler, match="Pour handles Brewed already"):
        registry.register(Brewed, Pour)


async def test_without_a_maker_handlers_are_made_without_arguments() -> None:
    class Simple(DomainEventHandler[Brewed]):
        async def handle(self, event: Brewed) -> str:
            return "handled"

    registry = HandlerRegistry()
    registry.register(Brewed, Simple)
    dispatcher = DomainEventDispatcher(RegisteredHandlers(registry))
    dispatcher.store_event(Brewed())
    assert (await dispatcher.process()).first == "handled"


async def test_a_maker_that_makes_something_else_is_found_out() -> None:
    registry = HandlerRegistry()
    registry.register(Brewed, Pour)
    dispatcher = DomainEventDispatcher(RegisteredHandlers(registry, lambda _: "no handler"))
    dispatcher.store_event(Brewed())
    with pytest.raises(ConfigurationError, match="asked for a Pour, but 'no handler' was made"):
        await dispatcher.process()


async def test_a_factory_of_ones_own_decides_who_handles_what() -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def scope() -> AsyncGenerator[Journal]:
        opened.append("opened")
        yield Journal()
        opened.append("closed")

    async with scope() as journal:

        class Container:
            async def create(self, event_type: type[DomainEvent]) -> list[DomainEventHandler[Any]]:
                return [Count(journal)] if event_type is Brewed else []

        dispatcher = DomainEventDispatcher(Container())
        dispatcher.store_events([Brewed(), Poured()])
        await dispatcher.process()
        assert journal.handled == ["count 0"]
    assert opened == ["opened", "closed"]


def test_a_registry_lists_its_handlers_once() -> None:
    registry = HandlerRegistry()
    registry.register(Brewed, Pour)
    registry.register(Brewed, Count)
    assert registry.handler_types == (Pour, Count)
