"""A bus that runs the handlers of one message, and shows what these would have caused."""

import asyncio

import pytest

from events_core import AsyncMessageBus, Command, DomainEvent, IntegrationEvent, MessageBus
from events_core.domain import Emit
from events_core.errors import UnitOfWorkError
from events_core.testing import AsyncFakeUnitOfWork, AsyncRecordingBus, FakeUnitOfWork, RecordingBus

pytestmark = pytest.mark.anyio


class Lend(Command[str]):
    pass


class Lent(DomainEvent, published=True):
    pass


class Reminded(DomainEvent):
    pass


class StatisticsDue(IntegrationEvent):
    type = "testing.statistics_due"
    version = 1


def lend(command: Lend, emit: Emit) -> str:
    emit(StatisticsDue(), Lent(), Reminded())
    return "lent"


def never(event: DomainEvent) -> None:
    raise AssertionError("a recording bus does not handle what follows")


def test_a_recording_bus_runs_one_message_and_shows_what_it_would_have_caused() -> None:
    uow = FakeUnitOfWork()
    bus = RecordingBus(MessageBus({Lend: lend, Lent: never, Reminded: never}))
    assert bus.handle(Lend(), uow).first == "lent"
    assert bus.emitted == [Lent(), Reminded(), StatisticsDue()]
    assert (uow.commits, uow.rollbacks, uow.published) == (0, 1, [])


async def test_the_asynchronous_one_does_the_same() -> None:
    uow = AsyncFakeUnitOfWork()
    bus = AsyncRecordingBus(AsyncMessageBus({Lend: lend, Lent: never, Reminded: never}))
    assert (await bus.handle(Lend(), uow)).first == "lent"
    assert bus.emitted == [Lent(), Reminded(), StatisticsDue()]
    assert (uow.commits, uow.rollbacks, uow.published) == (0, 1, [])


async def test_without_a_unit_of_work_it_shows_what_was_emitted() -> None:
    def remind(command: Lend, emit: Emit) -> None:
        emit(Reminded())

    bus = RecordingBus(MessageBus({Lend: remind}))
    asynchronous = AsyncRecordingBus(AsyncMessageBus({Lend: remind}))
    bus.handle(Lend())
    bus.handle(Lend())
    await asynchronous.handle(Lend())
    assert bus.emitted == [Reminded(), Reminded()]
    assert asynchronous.emitted == [Reminded()]


def test_what_a_call_gives_reaches_the_handler() -> None:
    def give(command: Lend, reader: str) -> str:
        return reader

    bus = RecordingBus(MessageBus({Lend: give}, at_call=["reader"]))
    assert bus.handle(Lend(), reader="Ada").first == "Ada"


def test_a_unit_of_work_that_is_open_is_joined_and_may_still_commit() -> None:
    uow = FakeUnitOfWork()
    bus = RecordingBus(MessageBus({Lend: lend}))
    with uow:
        bus.handle(Lend(), uow)
        uow.commit()
    assert bus.emitted == [Lent(), Reminded(), StatisticsDue()]
    assert (uow.commits, uow.rollbacks, uow.published) == (1, 0, [])


async def test_so_it_is_where_it_is_awaited() -> None:
    uow = AsyncFakeUnitOfWork()
    bus = AsyncRecordingBus(AsyncMessageBus({Lend: lend}))
    async with uow:
        await bus.handle(Lend(), uow)
        await uow.commit()
        with pytest.raises(UnitOfWorkError, match="is open in another task"):
            await asyncio.create_task(bus.handle(Lend(), uow))
    assert bus.emitted == [Lent(), Reminded(), StatisticsDue()]
    assert (uow.commits, uow.rollbacks, uow.published) == (1, 0, [])
