"""How blocks inside one unit of work agree on its end."""

from collections.abc import Callable

import pytest

from events_core.domain import OnError, Status
from events_core.errors import UnitOfWorkError
from tests.unit.domain.scene import (
    Brew,
    Brewed,
    Clean,
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


async def test_a_unit_that_is_open_is_joined_and_whoever_opened_it_commits(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    async with Opened(uow):
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
    async with Opened(uow) as commit:
        await side.handle(bus, Brew(), uow)
        with pytest.raises(UnitOfWorkError, match="rolled back or left without commit; commit there as well"):
            await commit()
    assert uow.trace.steps == UNDONE


async def test_an_inner_block_that_fails_decides_nothing_by_itself(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    async with Opened(uow) as commit:
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


async def test_a_block_that_rolls_back_decides_whatever_others_said(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()

    def undo_sync(event: Brewed, uow: Unit) -> None:
        with uow:
            uow.rollback()

    async def undo_async(event: Brewed, uow: Unit) -> None:
        async with uow:
            await uow.rollback()

    undo = undo_sync if type(side).__name__ == "Sync" else undo_async
    await side.handle(side.bus({Brewed: [side.block(), undo]}), Brewed(), uow)
    assert uow.trace.steps == UNDONE


@pytest.mark.parametrize("with_bus", [True, False])
async def test_a_handler_that_commits_without_a_block_is_content_and_loses_no_event(
    make_side: Make, *, with_bus: bool
) -> None:
    side, handled = make_side(), list[object]()

    def brew_sync(command: Brew, uow: Unit) -> None:
        uow.emit(Brewed(), StockFell())
        uow.commit()
        handled.append(list(uow.trace.steps))

    async def brew_async(command: Brew, uow: Unit) -> None:
        uow.emit(Brewed(), StockFell())
        await uow.commit()
        handled.append(list(uow.trace.steps))

    bus = side.bus({Brew: brew_sync if type(side).__name__ == "Sync" else brew_async, Brewed: handled.append})
    uow = side.unit(bus=bus if with_bus else None)
    await side.handle(bus, Brew(), uow)
    assert handled == [["begin"], Brewed()]
    assert uow.trace.steps == KEPT
    assert side.sent == [StockFell()]


async def test_a_handler_that_hands_on_a_message_does_not_lose_its_own_say(make_side: Make) -> None:
    side = make_side()
    inner = side.bus({Clean: side.block(commit=False)})

    def hand_on(command: Brew, uow: Unit) -> object:
        return inner.handle(Clean(), uow)  # an awaitable, where the bus awaits it

    with pytest.raises(UnitOfWorkError, match="one block of this unit of work committed and another left without"):
        await side.handle(side.bus({Brew: hand_on}), Brew(), side.unit())


async def test_what_is_handled_after_a_commit_is_rolled_back_without_another_one(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    async with Opened(uow) as commit:
        await side.handle(side.bus({Brew: emits(StockFell(item="kept"))}), Brew(), uow)
        await commit()
        assert uow.status is Status.COMMITTED
        await side.handle(side.bus({Clean: side.block(lambda uow: uow.emit(StockFell()), commit=False)}), Clean(), uow)
    assert uow.trace.steps == ["begin", "commit", "rollback", "close"]
    assert side.sent == [StockFell(item="kept")]
