"""Handlers of one event that run side by side, batches, and tasks that meet in one unit of work."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from events_core import AsyncMessageBus, MessageBus
from events_core.domain import Emit, Factory, OnError
from events_core.errors import BatchFailed, ConfigurationError, UnitOfWorkError
from tests.unit.domain.scene import (
    Async,
    AsyncUnit,
    Brew,
    Brewed,
    Poured,
    Side,
    both_sides,
    emits,
    ignore,
    raises,
    returns,
)

pytestmark = pytest.mark.anyio

Handler = Callable[[Brewed], Awaitable[str]]


class Rendezvous:
    """Handlers that wait for each other: they end only if all of them run at once."""

    def __init__(self, parties: int) -> None:
        self._missing = parties
        self._all_there = anyio.Event()
        self.cancelled: list[str] = []
        self.ended: list[str] = []

    async def arrive(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all_there.set()
        await self._all_there.wait()

    def handler(self, name: str) -> Handler:
        async def handle(event: Brewed) -> str:
            await self.arrive()
            return name

        return handle

    def lasting(self, name: str) -> Handler:
        async def handle(event: Brewed) -> str:
            try:
                await self.arrive()
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            return name

        return handle

    def failing(self, error: Exception) -> Handler:
        async def handle(event: Brewed) -> str:
            await self.arrive()
            raise error

        return handle


async def test_handlers_of_an_event_run_one_after_the_other_by_default() -> None:
    running = 0

    async def alone(event: Brewed) -> int:
        nonlocal running
        running += 1
        await anyio.lowlevel.checkpoint()
        at_once, running = running, running - 1
        return at_once

    async def as_well(event: Brewed) -> int:
        return await alone(event)

    assert list(await AsyncMessageBus({Brewed: [alone, as_well]}).handle(Brewed())) == [1, 1]


async def test_concurrent_handlers_run_at_once_and_their_values_keep_the_order_of_registration() -> None:
    meeting = Rendezvous(3)
    bus = AsyncMessageBus({Brewed: [meeting.handler(each) for each in "abc"]}, concurrent=True)
    with anyio.fail_after(5):
        assert list(await bus.handle(Brewed())) == ["a", "b", "c"]


async def test_nothing_runs_on_after_a_concurrent_handler_has_failed() -> None:
    meeting = Rendezvous(3)
    handlers = [meeting.lasting("a"), meeting.failing(OSError("spilled")), meeting.lasting("b")]
    with anyio.fail_after(5), pytest.raises(OSError, match="spilled"):
        await AsyncMessageBus({Brewed: handlers}, concurrent=True).handle(Brewed())
    assert sorted(meeting.cancelled) == ["a", "b"]


async def test_nothing_runs_on_after_handle_was_cancelled() -> None:
    meeting = Rendezvous(3)
    bus = AsyncMessageBus({Brewed: [meeting.lasting("a"), meeting.lasting("b")]}, concurrent=True)
    handling = asyncio.create_task(bus.handle(Brewed()))
    await meeting.arrive()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert sorted(meeting.cancelled) == ["a", "b"]


async def test_a_tolerated_error_of_a_concurrent_handler_stops_no_other() -> None:
    meeting, error = Rendezvous(2), OSError("spilled")
    bus = AsyncMessageBus(
        {Brewed: [meeting.failing(error), meeting.handler("b")]}, concurrent=True, on_error=OnError.LOG
    )
    with anyio.fail_after(5):
        results = await bus.handle(Brewed())
    assert [(each.value, each.error) for each in results.outcomes] == [(None, error), ("b", None)]


async def test_events_of_concurrent_handlers_are_handled_once_all_have_ended() -> None:
    meeting, handled, uow = Rendezvous(2), list[int](), Async().unit()

    async def first(event: Brewed, emit: Emit) -> None:
        emit(Poured(number=1))
        await meeting.arrive()

    async def second(event: Brewed, emit: Emit) -> None:
        await meeting.arrive()
        assert handled == []
        emit(Poured(number=2))

    def note(event: Poured) -> None:
        handled.append(event.number)

    bus = AsyncMessageBus({Brewed: [first, second], Poured: note}, concurrent=True)
    with anyio.fail_after(5):
        await bus.handle(Brewed(), uow)
    assert handled == [1, 2]


async def test_concurrent_handlers_share_what_an_asynchronous_factory_makes() -> None:
    made: list[object] = []

    async def make() -> object:
        await anyio.lowlevel.checkpoint()
        made.append(object())
        return made[-1]

    async def one(event: Brewed, thing: object) -> object:
        return thing

    async def other(event: Brewed, thing: object) -> object:
        return thing

    bus = AsyncMessageBus({Brewed: [one, other]}, dependencies={"thing": Factory(make)}, concurrent=True)
    assert list(await bus.handle(Brewed())) == made * 2
    assert len(made) == 1


async def test_concurrent_handlers_with_unhashable_callables_are_fine() -> None:
    class Note(list[object]):
        def __call__(self, event: Brewed) -> None:
            self.append(event)

    notes = [Note(), Note(["other"])]
    await AsyncMessageBus({Brewed: notes}, concurrent=True).handle(Brewed())
    assert notes == [[Brewed()], ["other", Brewed()]]


async def test_concurrent_handlers_cannot_have_blocks_in_one_unit_at_once() -> None:
    meeting, uow = Rendezvous(2), Async().unit()

    def blocking() -> Callable[[Brewed, AsyncUnit], Awaitable[str]]:
        async def handle(event: Brewed, uow: AsyncUnit) -> str:
            async with uow:
                await meeting.arrive()
            return ""

        return handle

    with anyio.fail_after(5), pytest.raises(UnitOfWorkError, match="is open in another task; make one for each task"):
        await AsyncMessageBus({Brewed: [blocking(), blocking()]}, concurrent=True).handle(Brewed(), uow)
    assert uow.trace.steps == ["begin", "rollback", "close"]


async def test_a_task_cannot_join_the_unit_of_another_one() -> None:
    uow = Async().unit()
    bus = AsyncMessageBus({Brew: ignore})
    async with uow:
        with pytest.raises(UnitOfWorkError, match="is open in another task"):
            await asyncio.create_task(bus.handle(Brew(), uow))
        with pytest.raises(UnitOfWorkError, match="is open in another task"):
            await asyncio.create_task(uow.__aenter__())


async def test_a_unit_that_a_task_left_open_when_it_ended_can_be_joined() -> None:
    uow, bus = Async().unit(), AsyncMessageBus({Brew: returns("brewed")})
    await asyncio.create_task(uow.__aenter__())
    assert (await bus.handle(Brew(), uow)).first == "brewed"
    await uow.commit()
    await uow.__aexit__(None, None, None)
    assert uow.trace.steps == ["begin", "commit", "close"]


@both_sides
async def test_the_results_of_a_batch_stand_in_the_position_of_their_messages(make_side: Callable[[], Side]) -> None:
    side = make_side()

    def brew(command: Brew) -> str:
        return str(command.cups)

    bus = side.bus({Brew: brew})
    results = await side.batch(bus, (Brew(cups=each) for each in range(25)))
    assert [each.first for each in results] == [str(each) for each in range(25)]


@both_sides
async def test_a_batch_handles_all_and_then_tells_of_the_errors(make_side: Callable[[], Side]) -> None:
    side, error, units = make_side(), OSError("spilled"), list[object]()

    def brew(command: Brew) -> int:
        if command.cups == 1:
            raise error
        return command.cups

    def unit() -> object:
        units.append(side.unit())
        return units[-1]

    with pytest.raises(BatchFailed, match=r"1 of 3 messages failed; 1: OSError\('spilled'\)") as caught:
        await side.batch(side.bus({Brew: brew}), [Brew(cups=each) for each in range(3)], uow=unit)
    first, second, third = caught.value.outcomes
    assert (first, second, third) == ([0], error, [2])
    assert [getattr(each, "status").value for each in units] == ["committed", "rolled back", "committed"]  # noqa: B009


async def test_a_batch_handles_no_more_messages_at_once_than_its_limit() -> None:
    running, peak, meeting = 0, 0, Rendezvous(3)

    async def brew(command: Brew) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if command.cups < 3:
            await meeting.arrive()
        await anyio.lowlevel.checkpoint()
        running -= 1

    with anyio.fail_after(5):
        await AsyncMessageBus({Brew: brew}).batch([Brew(cups=each) for each in range(30)], limit=3)
    assert peak == 3


async def test_an_empty_batch_has_no_results_and_a_limit_is_at_least_one() -> None:
    assert list(await AsyncMessageBus().batch([])) == []
    assert list(MessageBus().batch([])) == []
    with pytest.raises(ConfigurationError, match="limit is at least 1, not 0"):
        await AsyncMessageBus().batch([Brew()], limit=0)


async def test_a_batch_that_is_cancelled_handles_nothing_more() -> None:
    begun = anyio.Event()
    handled: list[int] = []

    async def brew(command: Brew) -> None:
        begun.set()
        await anyio.sleep_forever()
        handled.append(command.cups)

    task = asyncio.create_task(AsyncMessageBus({Brew: brew}).batch([Brew(), Brew()]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handled == []


async def test_of_several_fatal_errors_the_first_comes_out() -> None:
    bus = AsyncMessageBus({Brewed: [raises(OSError("first")), raises(OSError("second"))]}, concurrent=True)
    with pytest.raises(OSError, match="first"):
        await bus.handle(Brewed())


async def test_a_concurrent_handler_without_block_wants_the_commit_as_well() -> None:
    side = Async()
    bus = side.bus({Brewed: [side.block(commit=False), emits(Poured())]}, concurrent=True)
    with pytest.raises(UnitOfWorkError, match="one block of this unit of work committed and another left without"):
        await side.handle(bus, Brewed(), side.unit())
