"""What is kept, what is undone, and who commits."""

from collections.abc import Callable

import pytest

from events_core.domain import Status
from events_core.errors import ConfigurationError, UnitOfWorkError
from tests.unit.domain.scene import (
    Brew,
    Brewed,
    Clean,
    Machine,
    Opened,
    Poured,
    Side,
    StockFell,
    Unit,
    both_sides,
    emits,
    ignore,
    raises,
)

pytestmark = [pytest.mark.anyio, both_sides]

Make = Callable[[], Side]
KEPT = ["begin", "commit", "close"]
UNDONE = ["begin", "rollback", "close"]


async def test_leaving_without_commit_rolls_back(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    assert uow.status.value == "new"
    await side.within(uow, commit=False)
    assert uow.trace.steps == UNDONE
    assert uow.status is Status.ROLLED_BACK


async def test_a_commit_is_kept(make_side: Make) -> None:
    side = make_side()
    uow, seen = side.unit(), list[Status]()
    await side.within(uow, lambda uow: seen.append(uow.status))
    assert uow.trace.steps == KEPT
    assert seen == [Status.ACTIVE]
    assert uow.status is Status.COMMITTED


async def test_an_error_in_the_block_rolls_back_and_goes_its_way(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    with pytest.raises(OSError, match="spilled"):
        await side.within(uow, raises(OSError("spilled")))
    assert uow.trace.steps == UNDONE


async def test_the_bus_begins_and_commits_what_it_is_handed(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    await side.handle(side.bus({Brew: ignore}), Brew(), uow)
    assert uow.trace.steps == KEPT


async def test_a_handlers_error_comes_out_as_it_is_and_rolls_back(make_side: Make) -> None:
    side, error = make_side(), OSError("spilled")
    uow = side.unit()
    with pytest.raises(OSError, match="spilled") as caught:
        await side.handle(side.bus({Brew: raises(error)}), Brew(), uow)
    assert caught.value is error
    assert uow.trace.steps == UNDONE


async def test_an_event_that_fails_undoes_the_command_that_caused_it(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brew: side.block(lambda uow: uow.emit(Brewed(), StockFell())), Brewed: raises(OSError("spilled"))})
    with pytest.raises(OSError, match="spilled"):
        await side.handle(bus, Brew(), uow)
    assert uow.trace.steps == UNDONE
    assert side.sent == []


async def test_a_failing_commit_rolls_back_and_sends_nothing(make_side: Make) -> None:
    side = make_side()
    uow = side.unit(commit=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        await side.handle(side.bus({Brew: emits(StockFell())}), Brew(), uow)
    assert uow.trace.steps == ["begin", "commit", "rollback", "close"]
    assert uow.status is Status.ROLLED_BACK
    assert side.sent == []


async def test_a_unit_whose_commit_failed_is_rolled_back_at_once(make_side: Make) -> None:
    side = make_side()
    uow = side.unit(commit=OSError("disk full"))
    async with Opened(uow) as commit:
        with pytest.raises(OSError, match="disk full"):
            await commit()
        assert uow.status.value == "rolled back"
    assert uow.trace.steps == ["begin", "commit", "rollback", "close"]


async def test_a_unit_that_cannot_begin_is_closed_by_nobody_and_can_be_tried_again(make_side: Make) -> None:
    side = make_side()
    fails: dict[str, BaseException] = {"begin": OSError("no connection")}
    uow = side.unit()
    uow.trace._fails = fails
    with pytest.raises(OSError, match="no connection"):
        await side.within(uow)
    assert (uow.status, uow.unit.active) == (Status.NEW, False)
    fails.clear()
    await side.within(uow)
    assert uow.trace.steps == ["begin", *KEPT]


async def test_a_failing_rollback_is_tried_once_and_the_unit_is_closed(make_side: Make) -> None:
    side = make_side()
    uow = side.unit(rollback=OSError("connection lost"))
    with pytest.raises(OSError, match="connection lost"):
        await side.within(uow, commit=False)
    assert uow.trace.steps == UNDONE
    assert (uow.status, uow.unit.active) == (Status.ROLLED_BACK, False)


async def test_a_unit_with_a_bus_handles_its_events_before_it_commits(make_side: Make) -> None:
    side, handled, machine = make_side(), list[object](), Machine()

    def pour(event: Brewed, uow: Unit) -> None:
        handled.append((event, uow.status))
        uow.emit(Poured())

    def note(event: Poured, uow: Unit) -> None:
        handled.append((event, uow.status))

    uow = side.unit(bus=side.bus({Brewed: pour, Poured: note}))
    machine.raise_events(Brewed())
    await side.within(uow, lambda uow: uow.seen.add(machine))
    assert handled == [(Brewed(), Status.ACTIVE), (Poured(), Status.ACTIVE)]
    assert uow.trace.steps == KEPT


async def test_a_handler_that_fails_within_commit_rolls_back(make_side: Make) -> None:
    side = make_side()
    uow = side.unit(bus=side.bus({Brewed: raises(OSError("spilled"))}))
    with pytest.raises(OSError, match="spilled"):
        await side.within(uow, lambda uow: uow.emit(Brewed()))
    assert uow.trace.steps == UNDONE


async def test_a_handler_that_does_not_want_the_commit_within_commit_prevents_it(make_side: Make) -> None:
    side = make_side()
    uow = side.unit(bus=side.bus({Brewed: side.block(commit=False)}))
    with pytest.raises(UnitOfWorkError, match="left without commit"):
        await side.within(uow, lambda uow: uow.emit(Brewed()))
    assert uow.trace.steps == UNDONE


async def test_a_unit_with_a_bus_that_is_handed_to_the_bus_handles_each_event_once(make_side: Make) -> None:
    side, handled = make_side(), list[object]()
    bus = side.bus({Brew: emits(Brewed()), Brewed: handled.append})
    await side.handle(bus, Brew(), side.unit(bus=bus))
    assert handled == [Brewed()]


async def test_events_of_a_unit_that_rolled_back_are_not_handled_by_the_next_one(make_side: Make) -> None:
    side, handled, machine = make_side(), list[object](), Machine()
    bus = side.bus({Brewed: handled.append})

    def act(uow: Unit) -> None:
        uow.seen.add(machine)
        machine.raise_events(Brewed(), StockFell())
        uow.emit(Poured())

    await side.within(side.unit(bus=bus), act, commit=False)
    await side.within(side.unit(bus=bus), lambda uow: uow.seen.add(machine))
    assert (handled, side.sent) == ([], [])


async def test_a_unit_can_be_used_again_and_begins_anew(make_side: Make) -> None:
    side, handled = make_side(), list[object]()
    bus = side.bus({Brew: side.block(lambda uow: uow.emit(Brewed(), StockFell())), Brewed: handled.append})
    bus.add_handler(Clean, side.block(commit=False))
    uow = side.unit()
    await side.handle(bus, Brew(), uow)
    await side.handle(bus, Clean(), uow)
    await side.handle(bus, Brew(), uow)
    assert uow.trace.steps == [*KEPT, *UNDONE, *KEPT]
    assert (len(handled), len(side.sent)) == (2, 2)


async def test_outside_of_a_block_nothing_can_be_committed_or_emitted(make_side: Make) -> None:
    uow = make_side().unit()
    with pytest.raises(UnitOfWorkError, match=r"emit\(\) outside of the unit of work"):
        uow.emit(Brewed())
    with pytest.raises(UnitOfWorkError, match=r"commit\(\) outside of the unit of work"):
        await Opened(uow).commit()


async def test_a_unit_that_rolled_back_cannot_commit(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    async with Opened(uow) as commit:
        rolling_back = uow.rollback()
        if rolling_back is not None:
            await rolling_back
        with pytest.raises(UnitOfWorkError, match="is rolled back and cannot commit"):
            await commit()
    assert uow.trace.steps == UNDONE


async def test_each_message_of_a_batch_needs_a_unit_of_its_own(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brew: ignore})
    async with Opened(uow):
        with pytest.raises(Exception, match="1 of 1 messages failed") as caught:
            await side.batch(bus, [Brew()], uow=lambda: uow)
    (error,) = getattr(caught.value, "outcomes")  # noqa: B009 its class is tested elsewhere
    assert isinstance(error, ConfigurationError)


async def test_a_units_own_commit_decides_over_what_the_bus_was_given(make_side: Make) -> None:
    side = make_side()
    uow, machine = side.unit(), Machine()

    def see(command: Brew, uow: Unit) -> None:
        uow.seen.add(machine)

    bus = side.bus({Brew: see})
    async with Opened(uow) as commit:
        await side.handle(bus, Brew(), uow)
        machine.raise_events(StockFell())
        await commit()
        assert side.sent == [StockFell()]
