"""What handlers are given by name, and the errors of those who forgot to give it."""

from collections.abc import Callable
from functools import partial

import pytest

from events_core import AsyncMessageBus, EventHandlerConsumer, MessageBus
from events_core.domain import Emit, Factory
from events_core.errors import ConfigurationError
from tests.unit.domain.scene import Async, Brew, Brewed, Side, both_sides

pytestmark = pytest.mark.anyio

Make = Callable[[], Side]


def store_of(command: Brew, store: str) -> str:
    return store


def itself(uow: object) -> object:
    return uow


def itself_or_none(uow: object = None) -> object:
    return uow


def give(command: Brew, thing: object) -> object:
    return thing


@both_sides
async def test_handlers_get_dependencies_of_the_bus(make_side: Make) -> None:
    side = make_side()
    bus = side.bus({Brew: store_of}, dependencies={"store": "cellar"})
    assert (await side.handle(bus, Brew())).first == "cellar"


@both_sides
async def test_a_dependency_given_to_a_call_goes_before_that_of_the_bus(make_side: Make) -> None:
    side = make_side()
    bus = side.bus({Brew: store_of}, dependencies={"store": "cellar"})
    assert (await side.handle(bus, Brew(), store="attic")).first == "attic"
    assert (await side.handle(bus, Brew())).first == "cellar"


@both_sides
async def test_a_factory_is_spared_where_the_call_gives_the_dependency(make_side: Make) -> None:
    side, made = make_side(), list[str]()
    bus = side.bus({Brew: store_of}, dependencies={"store": Factory(lambda: made.append("made"))})
    assert (await side.handle(bus, Brew(), store="attic")).first == "attic"
    assert made == []


@both_sides
async def test_a_missing_dependency_is_an_error_when_the_bus_is_built(make_side: Make) -> None:
    side = make_side()
    with pytest.raises(
        ConfigurationError, match="store_of needs store, and nobody gives it; there is clock, emit, uow"
    ):
        side.bus({Brew: store_of}, dependencies={"clock": 1})
    bus = side.bus()
    with pytest.raises(ConfigurationError, match="add it to dependencies, or to at_call where each call gives it"):
        bus.add_handler(Brew, store_of)


@both_sides
async def test_what_each_call_gives_is_promised_to_the_bus_and_held_to(make_side: Make) -> None:
    side = make_side()
    bus = side.bus({Brew: store_of}, at_call=["store"])
    assert (await side.handle(bus, Brew(), store="attic")).first == "attic"
    with pytest.raises(ConfigurationError, match="this call has to give store, as at_call says"):
        await side.handle(bus, Brew())


@both_sides
async def test_a_default_makes_a_dependency_optional(make_side: Make) -> None:
    def brew(command: Brew, store: str = "default", uow: object = None) -> tuple[str, bool]:
        return store, uow is not None

    side = make_side()
    assert (await side.handle(side.bus({Brew: brew}), Brew())).first == ("default", False)
    bus = side.bus({Brew: brew}, dependencies={"store": "cellar"})
    assert (await side.handle(bus, Brew(), side.unit())).first == ("cellar", True)


@both_sides
async def test_a_handler_that_needs_a_unit_of_work_says_so_where_the_call_has_none(make_side: Make) -> None:
    def brew(command: Brew, uow: object) -> None:
        """Needs one."""

    side = make_side()
    with pytest.raises(ConfigurationError, match="needs uow, and this call gave none"):
        await side.handle(side.bus({Brew: brew}), Brew())


@both_sides
async def test_names_of_the_bus_itself_cannot_be_dependencies(make_side: Make) -> None:
    with pytest.raises(ConfigurationError, match="emit, uow comes from the bus itself"):
        make_side().bus(dependencies={"uow": 1, "emit": 2})


@both_sides
async def test_a_factory_makes_a_dependency_once_for_a_call_when_it_is_first_needed(make_side: Make) -> None:
    side, made = make_side(), list[int]()

    def make() -> int:
        made.append(len(made))
        return made[-1]

    def pour(event: Brewed, ticket: int) -> int:
        return ticket

    def brew(command: Brew, emit: Emit) -> list[int]:
        emit(Brewed(), Brewed())
        return list(made)

    bus = side.bus({Brew: brew, Brewed: pour}, dependencies={"ticket": Factory(make)})
    assert list(await side.handle(bus, Brew())) == [[], 0, 0]
    assert list(await side.handle(bus, Brew())) == [[0], 1, 1]


@both_sides
async def test_a_factory_may_ask_for_the_unit_of_work(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brew: give}, dependencies={"thing": Factory(itself)})
    assert (await side.handle(bus, Brew(), uow)).first is uow


@both_sides
async def test_a_builtin_class_may_be_a_factory(make_side: Make) -> None:
    side = make_side()
    bus = side.bus({Brew: give}, dependencies={"thing": Factory(dict)})
    assert (await side.handle(bus, Brew())).first == {}


@both_sides
async def test_what_a_factory_raises_is_the_handlers_error(make_side: Make) -> None:
    def make() -> object:
        raise OSError("no store")

    side = make_side()
    uow = side.unit()
    with pytest.raises(OSError, match="no store"):
        await side.handle(side.bus({Brew: store_of}, dependencies={"store": Factory(make)}), Brew(), uow)
    assert uow.trace.steps == ["begin", "rollback", "close"]


async def test_the_async_bus_awaits_factories() -> None:
    async def make() -> str:
        return "cellar"

    class Maker:
        async def __call__(self) -> str:
            return "attic"

    def plain() -> object:
        return make()

    side = Async()
    for factory, made in ((Factory(make), "cellar"), (Factory(Maker()), "attic"), (Factory(plain), "cellar")):
        bus = side.bus({Brew: store_of}, dependencies={"store": factory})
        assert (await side.handle(bus, Brew())).first == made


async def test_the_sync_bus_refuses_asynchronous_factories_when_it_is_built() -> None:
    async def make() -> str:
        return "cellar"

    with pytest.raises(ConfigurationError, match="a factory is a coroutine function, and nobody awaits it here"):
        MessageBus(dependencies={"store": Factory(make)})

    def plain() -> object:
        return make()

    bus = MessageBus({Brew: store_of}, dependencies={"store": Factory(plain)})
    with pytest.raises(ConfigurationError, match="the factory of store returned a coroutine; use AsyncMessageBus"):
        bus.handle(Brew())


async def test_handler_classes_get_dependencies_in_their_constructor() -> None:
    class Barista:
        def __init__(self, store: str, **_: object) -> None:
            self._store = store

        async def handle(self, command: Brew, ticket: int) -> tuple[str, int]:
            return self._store, ticket

    bus = AsyncMessageBus({Brew: Barista}, dependencies={"store": "cellar", "ticket": Factory(lambda: 7)})
    assert await bus.handle(Brew()) == [("cellar", 7)]
    with pytest.raises(ConfigurationError, match="Barista needs store, ticket"):
        AsyncMessageBus({Brew: Barista})


@pytest.mark.parametrize("name", ["uow", "emit"])
def test_what_the_bus_gives_itself_is_neither_a_dependency_nor_given_by_calls(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} comes from the bus itself"):
        MessageBus(dependencies={name: 1})
    with pytest.raises(ConfigurationError, match=f"{name} comes from the bus itself"):
        MessageBus(at_call=[name])


@both_sides
async def test_a_factory_that_needs_more_than_a_unit_of_work_is_refused_when_it_is_written(make_side: Make) -> None:
    def connect(host: str, uow: object, *, port: int = 5) -> object:
        return host, uow, port

    with pytest.raises(ConfigurationError, match=r"the factory .*connect takes host; it takes nothing, or uow"):
        Factory(connect)
    bus = make_side().bus({Brew: give}, dependencies={"thing": Factory(partial(connect, "localhost"))})
    uow = make_side().unit()
    assert (await make_side().handle(bus, Brew(), uow)).first == ("localhost", uow, 5)


@both_sides
async def test_a_factory_that_needs_a_unit_of_work_says_so_where_the_call_has_none(make_side: Make) -> None:
    side = make_side()
    needing = side.bus({Brew: give}, dependencies={"thing": Factory(itself)})
    with pytest.raises(ConfigurationError, match=r"the factory of thing needs uow; hand a unit of work to handle\(\)"):
        await side.handle(needing, Brew())
    welcoming = side.bus({Brew: give}, dependencies={"thing": Factory(itself_or_none)})
    assert (await side.handle(welcoming, Brew())).first is None


def test_a_consumer_has_no_unit_of_work_for_a_factory() -> None:
    with pytest.raises(ConfigurationError, match="the factory of thing needs uow, and there is none here"):
        EventHandlerConsumer("welcome", dependencies={"thing": Factory(itself)})
