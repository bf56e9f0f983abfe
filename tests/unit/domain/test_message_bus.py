"""Who handles what, in which order, and what the caller gets back."""

from collections.abc import Callable

import pytest

from events_core import AsyncMessageBus, MessageBus
from events_core.domain import Emit, Outcome
from events_core.errors import ConfigurationError, DuplicateHandler, NoHandler
from events_core.messages import DomainEvent, Message
from tests.unit.domain.scene import (
    Brew,
    Brewed,
    Clean,
    CupSold,
    Machine,
    Poured,
    Side,
    StockFell,
    Unit,
    both_sides,
    emits,
    ignore,
    returns,
)

pytestmark = [pytest.mark.anyio, both_sides]

Make = Callable[[], Side]


class Log:
    """Handlers that note what they handled."""

    def __init__(self) -> None:
        self.handled: list[Message] = []

    def note(self, message: Message) -> None:
        self.handled.append(message)


async def test_a_command_goes_to_its_one_handler_whose_value_comes_back(make_side: Make) -> None:
    side = make_side()

    def brew(command: Brew) -> str:
        return f"{command.cups} cups"

    bus = side.bus({Brew: brew})
    results = await side.handle(bus, Brew(cups=2))
    assert results == ["2 cups"]
    assert results.first == "2 cups"


async def test_an_event_goes_to_all_its_handlers_in_order_of_registration(make_side: Make) -> None:
    side = make_side()
    bus = side.bus({Brewed: [returns("first"), returns("second")]})
    bus.add_handler(Brewed, returns("third"))
    assert list(await side.handle(bus, Brewed())) == ["first", "second", "third"]


async def test_events_are_handled_first_in_first_out_and_breadth_first(make_side: Make) -> None:
    side, log, machine = make_side(), Log(), Machine()

    def brew(command: Brew, uow: Unit) -> None:
        uow.seen.add(machine)
        machine.raise_events(Brewed(number=1), Brewed(number=2))

    def pour(event: Brewed) -> None:
        log.note(event)
        machine.raise_events(Poured(number=event.number))

    await side.handle(side.bus({Brew: brew, Brewed: pour, Poured: log.note}), Brew(), side.unit())
    assert log.handled == [Brewed(number=1), Brewed(number=2), Poured(number=1), Poured(number=2)]


async def test_what_handlers_emit_is_handled_after_what_waits_with_and_without_a_unit_of_work(make_side: Make) -> None:
    for with_unit in (False, True):
        side, log = make_side(), Log()

        def brew(command: Brew, emit: Emit) -> str:
            emit(Brewed(number=1), Clean())
            return "brewed"

        def pour(event: Brewed, emit: Emit, log: Log) -> None:
            log.note(event)
            emit(Poured(number=event.number))

        bus = side.bus({Brew: brew, Brewed: pour, Poured: log.note, Clean: log.note}, dependencies={"log": log})
        await side.handle(bus, Brew(), side.unit() if with_unit else None)
        assert log.handled == [Brewed(number=1), Clean(), Poured(number=1)], with_unit


async def test_what_is_for_others_is_refused_where_no_unit_of_work_could_send_it(make_side: Make) -> None:
    side = make_side()
    for event in (StockFell(), CupSold()):
        bus = side.bus({Brew: emits(event), CupSold: ignore})
        with pytest.raises(
            ConfigurationError, match=r"(StockFell|CupSold) is for other services and leaves with a uni"
        ):
            await side.handle(bus, Brew())


async def test_results_tell_which_handler_did_what_with_which_message(make_side: Make) -> None:
    side = make_side()

    def brew(command: Brew, emit: Emit) -> str:
        emit(Brewed())
        return "brewed"

    def pour(event: Brewed) -> str:
        return "poured"

    results = await side.handle(side.bus({Brew: brew, Brewed: pour}), Brew())
    name = f"{__name__}.test_results_tell_which_handler_did_what_with_which_message.<locals>"
    assert results.outcomes == [
        Outcome(Brew(), f"{name}.brew", "brewed", None),
        Outcome(Brewed(), f"{name}.pour", "poured", None),
    ]
    assert (results[1], results[:1], len(results)) == ("poured", ["brewed"], 2)
    assert repr(results) == "Results(['brewed', 'poured'])"


async def test_a_command_without_handler_is_an_error_that_says_what_to_do(make_side: Make) -> None:
    side = make_side()
    with pytest.raises(NoHandler, match=r"the command Brew has no handler; add one: bus.add_handler\(Brew, ...\)"):
        await side.handle(side.bus(), Brew())


async def test_an_event_without_handler_is_ignored(make_side: Make) -> None:
    side = make_side()
    results = await side.handle(side.bus(), Brewed())
    assert list(results) == []
    with pytest.raises(NoHandler, match="no handler ran"):
        _ = results.first


@pytest.mark.parametrize("event", [Brewed(), StockFell()])
async def test_an_event_without_handler_is_an_error_when_the_bus_is_strict(make_side: Make, event: DomainEvent) -> None:
    side = make_side()
    with pytest.raises(NoHandler, match="the bus is strict"):
        await side.handle(side.bus(strict=True), event)


async def test_integration_events_from_elsewhere_are_handled_like_others(make_side: Make) -> None:
    side, log = make_side(), Log()
    bus = side.bus({StockFell: log.note, Brewed: log.note})
    assert bus.events == (StockFell,)
    await side.handle(bus, StockFell())
    assert log.handled == [StockFell()]


async def test_a_second_handler_of_a_command_is_refused(make_side: Make) -> None:
    bus = make_side().bus({Brew: ignore})
    with pytest.raises(DuplicateHandler, match=r"the command Brew is handled by .*, and has one handler"):
        bus.add_handler(Brew, ignore)


async def test_the_same_handler_of_an_event_twice_is_refused(make_side: Make) -> None:
    log = Log()
    bus = make_side().bus({Brewed: log.note})
    with pytest.raises(DuplicateHandler, match=r"Log\.note handles Brewed already"):
        bus.add_handler(Brewed, log.note)


async def test_one_method_of_two_objects_are_two_handlers(make_side: Make) -> None:
    side, one, other = make_side(), Log(), Log()
    await side.handle(side.bus({Brewed: [one.note, other.note]}), Brewed())
    assert one.handled == other.handled == [Brewed()]


async def test_handlers_of_an_abstract_message_are_refused(make_side: Make) -> None:
    with pytest.raises(ConfigurationError, match="DomainEvent is abstract"):
        make_side().bus({DomainEvent: ignore})


async def test_a_message_is_handled_by_its_own_class_alone(make_side: Make) -> None:
    class Ristretto(Brewed):
        pass

    side, log = make_side(), Log()
    await side.handle(side.bus({Brewed: log.note}), Ristretto())
    assert log.handled == []


async def test_a_handler_may_hand_another_message_to_the_bus_within_the_same_unit(make_side: Make) -> None:
    side, log = make_side(), Log()
    inner = side.bus({Clean: log.note})
    uow = side.unit()

    def brew_sync(command: Brew, uow: object) -> None:
        inner.handle(Clean(), uow)

    async def brew_async(command: Brew, uow: object) -> None:
        await inner.handle(Clean(), uow)

    outer = side.bus({Brew: brew_async if isinstance(inner, AsyncMessageBus) else brew_sync})
    await side.handle(outer, Brew(), uow)
    assert log.handled == [Clean()]
    assert uow.trace.steps == ["begin", "commit", "close"]


async def test_a_published_domain_event_is_handled_here_as_well(make_side: Make) -> None:
    side, log = make_side(), Log()
    bus = side.bus({Brew: side.block(lambda uow: uow.emit(CupSold())), CupSold: log.note})
    await side.handle(bus, Brew(), side.unit())
    assert log.handled == [CupSold()]
    assert side.sent == [CupSold()]


async def test_the_sync_bus_refuses_coroutine_functions_when_they_are_registered(make_side: Make) -> None:
    async def brew(command: Brew) -> None:
        """Nobody would await it."""

    class Barista:
        async def handle(self, command: Brew) -> None:
            """Nobody would await it."""

    for handler in (brew, Barista):
        with pytest.raises(ConfigurationError, match="is a coroutine function; register it on an AsyncMessageBus"):
            MessageBus({Brew: handler})


async def test_the_sync_bus_refuses_a_coroutine_that_a_plain_function_returns(make_side: Make) -> None:
    async def brew(command: Brew) -> None:
        """Nobody would await it."""

    def plain(command: Brew) -> object:
        return brew(command)

    with pytest.raises(ConfigurationError, match="returned a coroutine"):
        MessageBus({Brew: plain}).handle(Brew())


async def test_the_async_bus_awaits_what_a_plain_function_returns(make_side: Make) -> None:
    async def brew(command: Brew) -> str:
        return "brewed"

    def plain(command: Brew) -> object:
        return brew(command)

    results = await AsyncMessageBus({Brew: plain}).handle(Brew())
    assert results.first == "brewed"


async def test_what_is_no_message_class_has_no_handlers(make_side: Make) -> None:
    for wrong in (int, ignore, "Brew"):
        with pytest.raises(ConfigurationError, match=r"handlers are added for a message class, not for .*"):
            make_side().bus().add_handler(wrong, ignore)
