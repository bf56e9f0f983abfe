"""What is kept, what is undone, and how blocks inside one unit of work agree."""

from collections.abc import Callable
from typing import Any

import pytest

from events_core.domain import OnError, Status
from events_core.errors import ConfigurationError, UnitOfWorkError
from tests.unit.domain.scene import (
    Brew,
    Brewed,
    Clean,
    Machine,
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


async def test_a_unit_that_is_open_is_joined_and_whoever_opened_it_commits(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    async with _Opened(uow):
        await side.handle(side.bus({Brew: side.block()}), Brew(), uow)
        assert uow.trace.steps == ["begin"]
    assert uow.trace.steps == UNDONE


async def test_blocks_that_all_commit_are_one_commit(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brew: side.block(lambda uow: uow.emit(Brewed())), Brewed: [side.block(), side.block()]})
    await side.handle(bus, Brew(), uow)
    assert uow.trace.steps == KEPT


async def test_blocks_that_all_leave_without_commit_are_one_rollback_that_drops_their_events(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus(
        {Brew: side.block(lambda uow: uow.emit(Brewed(), StockFell()), commit=False), Brewed: raises(OSError())}
    )
    await side.handle(bus, Brew(), uow)
    assert uow.trace.steps == UNDONE
    assert side.sent == []


@pytest.mark.parametrize("first", [True, False])
async def test_blocks_that_disagree_are_an_error_and_a_rollback(make_side: Make, *, first: bool) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brewed: [side.block(commit=first), side.block(commit=not first)]})
    with pytest.raises(UnitOfWorkError, match="one block of this unit of work committed and another left without"):
        await side.handle(bus, Brewed(), uow)
    assert uow.trace.steps == UNDONE


@pytest.mark.parametrize("block_first", [True, False])
async def test_a_handler_without_block_wants_the_commit(make_side: Make, *, block_first: bool) -> None:
    side = make_side()
    uow = side.unit()
    handlers = [side.block(commit=False), ignore]
    bus = side.bus({Brewed: handlers if block_first else handlers[::-1]})
    with pytest.raises(UnitOfWorkError, match="commit in both"):
        await side.handle(bus, Brewed(), uow)
    assert uow.trace.steps == UNDONE


async def test_a_disagreement_is_never_tolerated(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brewed: [side.block(), side.block(commit=False)]}, on_error=OnError.LOG)
    with pytest.raises(UnitOfWorkError):
        await side.handle(bus, Brewed(), uow)
    assert uow.trace.steps == UNDONE


async def test_the_outermost_commit_is_refused_where_a_block_left_without(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brew: side.block(commit=False)})
    async with _Opened(uow) as commit:
        await side.handle(bus, Brew(), uow)
        with pytest.raises(UnitOfWorkError, match="rolled back or left without commit; commit there as well"):
            await commit()
    assert uow.trace.steps == UNDONE


async def test_an_inner_block_that_fails_decides_nothing_by_itself(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    async with _Opened(uow) as commit:
        with pytest.raises(OSError, match="spilled"):
            await side.within(uow, raises(OSError("spilled")))
        await commit()
    assert uow.trace.steps == KEPT


async def test_a_handler_that_rolls_back_ends_the_whole_and_drops_what_waits(make_side: Make) -> None:
    side = make_side()
    uow, handled = side.unit(), list[object]()

    def undo_sync(event: Brewed, uow: Unit) -> None:
        handled.append(event)
        uow.emit(Poured())
        uow.rollback()

    async def undo_async(event: Brewed, uow: Unit) -> None:
        handled.append(event)
        uow.emit(Poured())
        await uow.rollback()

    undo = undo_sync if type(side).__name__ == "Sync" else undo_async
    bus = side.bus({Brew: side.block(lambda uow: uow.emit(Brewed(), Clean())), Brewed: undo, Clean: handled.append})
    bus.add_handler(Poured, handled.append)
    await side.handle(bus, Brew(), uow)
    assert handled == [Brewed()]
    assert uow.trace.steps == UNDONE


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
        await _Opened(uow).commit()


async def test_a_unit_that_rolled_back_cannot_commit(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    async with _Opened(uow) as commit:
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
    async with _Opened(uow):
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
    async with _Opened(uow) as commit:
        await side.handle(bus, Brew(), uow)
        machine.raise_events(StockFell())
        await commit()
        assert side.sent == [StockFell()]


class _Opened:
    """A block around either kind of unit; gives its `commit`."""

    def __init__(self, uow: Unit) -> None:
        self._uow = uow

    async def __aenter__(self) -> Callable[[], Any]:
        if hasattr(self._uow, "__aenter__"):
            await self._uow.__aenter__()
        else:
            self._uow.__enter__()
        return self.commit

    async def __aexit__(self, *error: object) -> None:
        if hasattr(self._uow, "__aexit__"):
            await self._uow.__aexit__(*error)
        else:
            self._uow.__exit__(*error)

    async def commit(self) -> None:
        committing = self._uow.commit()
        if committing is not None:
            await committing
