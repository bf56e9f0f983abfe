"""A caller that is cancelled: before the commit everything is undone, from the commit on everything is done."""

import asyncio
import logging
from collections.abc import Callable

import anyio
import pytest

from events_core import AsyncMessageBus
from events_core.domain import Emit, EventStream, Status
from tests.unit.domain.scene import NEWS, Async, AsyncUnit, Brew, BrokenSink, StockFell, Trace

pytestmark = pytest.mark.anyio


class GatedUnit(AsyncUnit):
    """Stops at a step until it is let on."""

    def __init__(self, gate: str, stream: EventStream, **fails: BaseException) -> None:
        super().__init__(Trace(fails), stream)
        self._gate = gate
        self.reached = anyio.Event()
        self.opened = anyio.Event()

    async def _step(self, step: str) -> None:
        if step == self._gate:
            self.reached.set()
            await self.opened.wait()
        await super()._step(step)


def brew(command: Brew, emit: Emit) -> None:
    emit(StockFell())


Cancel = Callable[[asyncio.Task[object], anyio.CancelScope], None]


def by_task(task: asyncio.Task[object], _: anyio.CancelScope) -> None:
    task.cancel()


def by_scope(_: asyncio.Task[object], scope: anyio.CancelScope) -> None:
    scope.cancel()


both_ways = pytest.mark.parametrize("cancel", [by_task, by_scope])


async def handle_and_cancel(uow: GatedUnit, cancel: Cancel, *, times: int = 1) -> bool:
    """Whether the caller was cancelled in the end."""
    scope = anyio.CancelScope()

    async def handle() -> None:
        with scope:
            await AsyncMessageBus({Brew: brew}).handle(Brew(), uow)
            await anyio.lowlevel.checkpoint()

    task: asyncio.Task[object] = asyncio.create_task(handle())
    await uow.reached.wait()
    for _ in range(times):
        cancel(task, scope)
        await asyncio.wait([task], timeout=0)
    uow.opened.set()
    await asyncio.wait([task])
    return task.cancelled() or scope.cancelled_caught


@both_ways
@pytest.mark.parametrize("times", [1, 3])
async def test_a_commit_that_has_begun_is_done_and_what_follows_it_too(cancel: Cancel, times: int) -> None:
    side = Async()
    uow = GatedUnit("commit", EventStream(side.sink, NEWS))
    assert await handle_and_cancel(uow, cancel, times=times)
    assert uow.trace.steps == ["begin", "commit", "close"]
    assert uow.status is Status.COMMITTED
    assert side.sent == [StockFell()]


@both_ways
async def test_a_commit_that_fails_while_its_caller_is_cancelled_rolls_back_and_is_logged(
    cancel: Cancel, caplog: pytest.LogCaptureFixture
) -> None:
    side = Async()
    uow = GatedUnit("commit", EventStream(side.sink, NEWS), commit=OSError("disk full"))
    with caplog.at_level(logging.ERROR):
        if cancel is by_task:
            assert await handle_and_cancel(uow, cancel)
            assert "disk full" in caplog.text
        else:
            with pytest.raises(OSError, match="disk full"):
                await _result_of(uow, cancel)
    assert uow.trace.steps == ["begin", "commit", "rollback", "close"]
    assert side.sent == []


async def _result_of(uow: GatedUnit, cancel: Cancel) -> None:
    scope = anyio.CancelScope()

    async def handle() -> None:
        with scope:
            await AsyncMessageBus({Brew: brew}).handle(Brew(), uow)

    task: asyncio.Task[object] = asyncio.create_task(handle())
    await uow.reached.wait()
    cancel(task, scope)
    uow.opened.set()
    await task


async def test_what_fails_after_the_commit_of_a_cancelled_caller_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    uow = GatedUnit("commit", EventStream(BrokenSink(OSError("no broker"), after_commit=True), NEWS))
    with caplog.at_level(logging.ERROR):
        assert await handle_and_cancel(uow, by_task)
    assert "no broker" in caplog.text
    assert uow.trace.steps == ["begin", "commit", "close"]


@both_ways
async def test_a_cancellation_before_the_commit_undoes_everything(cancel: Cancel) -> None:
    side = Async()
    uow, begun, scope = side.unit(), anyio.Event(), anyio.CancelScope()

    async def brew_slowly(command: Brew) -> None:
        uow.emit(StockFell())
        begun.set()
        await anyio.sleep_forever()

    async def handle() -> None:
        with scope:
            await AsyncMessageBus({Brew: brew_slowly}).handle(Brew(), uow)

    task: asyncio.Task[object] = asyncio.create_task(handle())
    await begun.wait()
    cancel(task, scope)
    await asyncio.wait([task])
    assert uow.trace.steps == ["begin", "rollback", "close"]
    assert (uow.status, side.sent) == (Status.ROLLED_BACK, [])


async def test_a_cancellation_during_the_beginning_leaves_nothing_open() -> None:
    uow = GatedUnit("begin", EventStream())
    assert await handle_and_cancel(uow, by_task)
    assert (uow.trace.steps, uow.unit.active) == ([], False)


async def test_a_scope_that_is_cancelled_during_the_rollback_does_not_cut_it_short() -> None:
    uow = GatedUnit("rollback", EventStream())
    scope = anyio.CancelScope()

    async def leave() -> None:
        with scope:
            async with uow:
                pass

    task = asyncio.create_task(leave())
    await uow.reached.wait()
    scope.cancel()
    uow.opened.set()
    await task
    assert uow.trace.steps == ["begin", "rollback", "close"]


async def test_a_task_that_is_cancelled_again_during_the_rollback_ends_it_first() -> None:
    uow = GatedUnit("rollback", EventStream())

    async def leave() -> None:
        async with uow:
            await anyio.sleep_forever()

    task = asyncio.create_task(leave())
    await asyncio.wait([task], timeout=0)
    task.cancel()
    await uow.reached.wait()
    task.cancel()
    await asyncio.wait([task], timeout=0)
    uow.opened.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert uow.trace.steps == ["begin", "rollback", "close"]


async def test_a_commit_that_its_own_database_cancels_is_rolled_back() -> None:
    uow = Async().unit(commit=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await AsyncMessageBus({Brew: brew}).handle(Brew(), uow)
    assert uow.trace.steps == ["begin", "commit", "rollback", "close"]
