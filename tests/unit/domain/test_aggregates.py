"""Who can raise events, and in which order they are collected."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Column, Integer, String, Table, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry

from events_core import AggregateRoot, Message, MessageBus
from events_core.domain import Repository, Seen
from events_core.testing import FakeRepository, FakeUnitOfWork
from tests.unit.domain.scene import Brewed, Machine, Poured, StockFell


def raised_in(*aggregates: object) -> list[Message]:
    seen = Seen()
    for each in aggregates:
        seen.add(each)
    return [each.message for each in seen.pop_events()]


class Plain(AggregateRoot):
    def __init__(self, name: str) -> None:
        self.name = name  # without super().__init__()


@dataclass
class InDataclass(AggregateRoot):
    name: str = ""


@dataclass(frozen=True, slots=True)
class Frozen(AggregateRoot):
    name: str = ""


@dataclass(eq=False, kw_only=True)
class WithListField(AggregateRoot):
    lines: list[str] = field(default_factory=list[str])


@pytest.mark.parametrize("aggregate", [Plain("x"), InDataclass(), Frozen(), WithListField(), object.__new__(Plain)])
def test_aggregates_need_no_constructor_and_may_be_dataclasses(aggregate: AggregateRoot) -> None:
    aggregate.publish_event(Brewed(number=1))
    aggregate.publish_event(StockFell())
    assert aggregate.pop_events() == [Brewed(number=1), StockFell()]
    assert aggregate.pop_events() == []


def test_events_are_no_part_of_an_aggregates_value() -> None:
    one = Frozen("x")
    one.publish_event(Brewed())
    assert one == Frozen("x")
    assert repr(one) == "Frozen(name='x')"


def test_events_of_several_aggregates_come_in_the_order_in_which_they_were_raised() -> None:
    one, other = Machine(), Machine()
    one.raise_events(Brewed(number=1))
    other.raise_events(Brewed(number=2))
    one.raise_events(Brewed(number=3))
    assert raised_in(other, one) == [Brewed(number=1), Brewed(number=2), Brewed(number=3)]


def test_an_aggregate_that_is_seen_twice_gives_its_events_once_and_equal_ones_are_told_apart() -> None:
    one, equal = InDataclass("x"), InDataclass("x")
    one.publish_event(Brewed(number=1))
    equal.publish_event(Brewed(number=2))
    assert raised_in(one, one, equal) == [Brewed(number=1), Brewed(number=2)]


@dataclass
class WithEvents:
    events: list[object]


@dataclass
class WithMessages:
    messages: list[object]


class WithPop:
    def __init__(self, *events: Message) -> None:
        self._events = list(events)

    def pop_events(self) -> Sequence[Message]:
        events, self._events = self._events, []
        return events


@pytest.mark.parametrize(
    "foreign", [WithEvents([Brewed(), Poured()]), WithMessages([Brewed(), Poured()]), WithPop(Brewed(), Poured())]
)
def test_any_object_with_a_list_of_pending_messages_is_an_aggregate(foreign: object) -> None:
    machine = Machine()
    machine.raise_events(StockFell())
    assert raised_in(foreign, machine) == [StockFell(), Brewed(), Poured()]
    assert raised_in(foreign) == []


@pytest.mark.parametrize("aggregate", [WithEvents(["a concert"]), WithMessages(["hello"]), WithEvents([]), object()])
def test_a_list_of_anything_else_is_left_alone(aggregate: object) -> None:
    before = copy.deepcopy(vars(aggregate)) if hasattr(aggregate, "__dict__") else {}
    assert raised_in(aggregate) == []
    assert getattr(aggregate, "__dict__", {}) == before


def test_a_repository_tells_what_it_has_seen() -> None:
    class Machines(Repository[Machine]):
        def get(self, machine: Machine) -> Machine:
            return self.see(machine)

    seen, machine = Seen(), Machine()
    assert Machines(seen).get(machine) is machine
    machine.raise_events(Brewed())
    assert [each.message for each in seen.pop_events()] == [Brewed()]


def test_what_a_repository_loads_later_in_the_chain_is_collected_as_well() -> None:
    class Unit(FakeUnitOfWork):
        def __init__(self) -> None:
            super().__init__()
            self.machines: FakeRepository[Plain, str] = FakeRepository(self.seen, key=lambda each: each.name)

    def fill(event: Brewed, uow: Unit) -> None:
        loaded = uow.machines.get("m")
        assert loaded is not None
        loaded.publish_event(Poured())

    uow, poured = Unit(), list[Message]()
    uow.machines.add(Plain("m"))
    MessageBus({Brewed: fill, Poured: poured.append}).handle(Brewed(), uow)
    assert poured == [Poured()]


class Rows(DeclarativeBase):
    pass


class Declared(AggregateRoot, Rows):
    __tablename__ = "declared"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")


class Imperative(AggregateRoot):
    def __init__(self, name: str) -> None:
        self.name = name


_mapping = registry()
_table = Table("imperative", _mapping.metadata, Column("id", Integer, primary_key=True), Column("name", String))
_mapping.map_imperatively(Imperative, _table)


@pytest.mark.parametrize("aggregate_type", [Declared, Imperative])
def test_objects_that_sqlalchemy_restores_are_aggregates(aggregate_type: type[Declared | Imperative]) -> None:
    engine = create_engine("sqlite://")
    Rows.metadata.create_all(engine)
    _mapping.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(aggregate_type(name="x"))
        session.commit()
    with Session(engine) as session:
        (restored,) = session.query(aggregate_type)
        assert isinstance(restored, Declared | Imperative)
        restored.publish_event(Brewed())
        restored.name = "y"
        session.flush()
        session.expire(restored)
        assert restored.name == "y"
        assert raised_in(restored) == [Brewed()]
    engine.dispose()
