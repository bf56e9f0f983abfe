"""A bus that handles many messages keeps none of them."""

import gc
import sys
from collections.abc import Awaitable, Callable

import pytest

from events_core import AsyncMessageBus, MessageBus
from events_core.domain import Emit
from tests.unit.domain.scene import Async, Brew, Brewed, Machine, Poured, Side, StockFell, Sync

pytestmark = pytest.mark.anyio

COMMANDS = 100_000
A_LITTLE = 1_000
"""Blocks of memory: far less than one for each command."""


def brew(command: Brew, emit: Emit) -> None:
    emit(Brewed(), Poured())


def ignore(event: object) -> None:
    """Nothing to do."""


async def grown_by(work: Callable[[int], Awaitable[None]]) -> int:
    """Blocks of memory that are held after much work, and were not after a little; without the garbage collector."""
    await work(1_000)
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        await work(COMMANDS)
        return sys.getallocatedblocks() - before
    finally:
        gc.enable()


async def test_memory_does_not_grow_over_a_hundred_thousand_commands() -> None:
    bus = AsyncMessageBus({Brew: brew, Brewed: ignore, Poured: ignore})
    plain = MessageBus({Brew: brew, Brewed: ignore, Poured: ignore})

    async def work(commands: int) -> None:
        for number in range(commands):
            await bus.handle(Brew(cups=number))
            if number % 10 == 0:
                plain.handle(Brew(cups=number))

    assert await grown_by(work) < A_LITTLE


@pytest.mark.parametrize("make_side", [Sync, Async])
async def test_a_unit_of_work_that_is_used_again_and_again_keeps_nothing(make_side: Callable[[], Side]) -> None:
    side = make_side()

    def sell(command: Brew, uow: object) -> None:
        machine: Machine = getattr(uow, "seen").add(Machine())  # noqa: B009 either kind of unit
        machine.raise_events(Brewed(), StockFell())

    bus, uow = side.bus({Brew: sell, Brewed: ignore}), side.unit()
    for number in range(100):
        await side.handle(bus, Brew(cups=number), uow)
    assert not [each for each in gc.get_objects() if isinstance(each, Machine)]
    assert uow.stream.pending == []
