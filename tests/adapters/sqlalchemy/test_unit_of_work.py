"""Units of work on a database: state and events are kept together, or not at all."""

import pytest
from sqlalchemy import func, select

from events_core import AsyncMessageBus, Command, DomainEvent, MessageBus
from events_core.domain import EventStream, Status
from events_sqlalchemy import AsyncSqlAlchemyUnitOfWork, SqlAlchemyUnitOfWork
from tests.adapters.sqlalchemy.shop import ORDERS, Database, Order, OrderPlaced, outbox_of

pytestmark = pytest.mark.anyio


class Place(Command[int]):
    text: str


class Placed(DomainEvent):
    text: str


class BadOrder(Exception):
    pass


async def place(command: Place, uow: AsyncSqlAlchemyUnitOfWork) -> int:
    order = Order(text=command.text)
    uow.session.add(order)
    uow.emit(Placed(command.text), OrderPlaced(command.text))
    await uow.session.flush()
    return order.id


def place_now(command: Place, uow: SqlAlchemyUnitOfWork) -> int:
    order = Order(text=command.text)
    uow.session.add(order)
    uow.emit(Placed(command.text), OrderPlaced(command.text))
    uow.session.flush()
    return order.id


def refuse_bad_orders(event: Placed) -> None:
    if event.text == "bad":
        raise BadOrder


def unit_of(database: Database) -> AsyncSqlAlchemyUnitOfWork:
    session = database.sessions()
    return AsyncSqlAlchemyUnitOfWork(session, stream=EventStream(outbox_of(session), ORDERS))


async def orders_in(database: Database) -> int:
    async with database.sessions() as session:
        return (await session.execute(select(func.count()).select_from(Order))).scalar_one()


async def test_state_and_events_commit_together(database: Database) -> None:
    bus = AsyncMessageBus({Place: place, Placed: [refuse_bad_orders]})
    unit = unit_of(database)
    await bus.handle(Place("good"), unit)
    assert unit.status is Status.COMMITTED
    assert await orders_in(database) == 1
    assert await database.waiting() == ["good"]


async def test_nothing_is_kept_when_a_handler_of_what_was_raised_fails(database: Database) -> None:
    bus = AsyncMessageBus({Place: place, Placed: [refuse_bad_orders]})
    unit = unit_of(database)
    with pytest.raises(BadOrder):
        await bus.handle(Place("bad"), unit)
    assert unit.status is Status.ROLLED_BACK
    assert await orders_in(database) == 0
    assert await database.waiting() == []


async def test_leaving_without_commit_rolls_back(database: Database) -> None:
    async with unit_of(database) as unit:
        await place(Place("forgotten"), unit)
    assert await orders_in(database) == 0
    assert await database.waiting() == []


async def test_a_session_gives_its_connection_back_when_the_unit_ends(database: Database) -> None:
    async with unit_of(database) as unit:
        await unit.session.execute(select(Order))
        assert unit.session.in_transaction()
        await unit.commit()
    assert not unit.session.in_transaction()


async def test_a_plain_session_does_the_same(database: Database) -> None:
    bus = MessageBus({Place: place_now, Placed: [refuse_bad_orders]})
    for text in ("good", "bad", "better"):
        session = database.sync_sessions()
        unit = SqlAlchemyUnitOfWork(session, stream=EventStream(outbox_of(session), ORDERS))
        if text == "bad":
            with pytest.raises(BadOrder):
                bus.handle(Place(text), unit)
        else:
            bus.handle(Place(text), unit)
        assert not session.in_transaction()
    assert await orders_in(database) == 2
    assert await database.waiting() == ["good", "better"]
