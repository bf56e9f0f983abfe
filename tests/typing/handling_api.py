"""What type checkers know about handlers and buses: checked by mypy and pyright, never run.

An ignore that is not needed is an error for both, so that each one here proves that a mistake is found.
"""

from collections.abc import Sequence
from typing import Any, assert_type

from events_core import AsyncMessageBus, Command, DomainEvent, IntegrationEvent, MessageBus
from events_core.domain import (
    DomainEventDispatcher,
    DomainEventHandler,
    Emit,
    HandlerRegistry,
    OnError,
    Outcome,
    RegisteredHandlers,
    Repository,
    Results,
    Seen,
    listen,
)
from events_core.testing import AsyncFakeUnitOfWork, AsyncRecordingBus, FakeRepository, FakeUnitOfWork, RecordingBus


class Register(Command[int]):
    email: str


class Forget(Command):
    email: str


class Registered(DomainEvent):
    email: str


class Announced(IntegrationEvent):
    type = "typing.announced"
    version = 1


def the_value_of_a_command_is_known(bus: MessageBus, recording: RecordingBus, uow: FakeUnitOfWork) -> None:
    assert_type(bus.handle(Register(email="a")), Results[int])
    assert_type(bus.handle(Register(email="a"), uow).first, int)
    assert_type(bus.handle(Register(email="a"), reader="Ada").first, int)
    assert_type(bus.handle(Forget(email="a")).first, None)
    assert_type(bus.handle(Registered(email="a")), Results[Any])
    assert_type(bus.handle(Announced()), Results[Any])
    assert_type(recording.handle(Register(email="a"), uow).first, int)
    assert_type(bus.handle(Register(email="a")).outcomes, Sequence[Outcome])
    wrong: str = bus.handle(Register(email="a")).first  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert wrong


async def so_it_is_where_it_is_awaited(
    bus: AsyncMessageBus, recording: AsyncRecordingBus, uow: AsyncFakeUnitOfWork
) -> None:
    assert_type(await bus.handle(Register(email="a")), Results[int])
    assert_type((await bus.handle(Register(email="a"), uow)).first, int)
    assert_type((await bus.handle(Forget(email="a"))).first, None)
    assert_type(await bus.handle(Registered(email="a")), Results[Any])
    assert_type((await recording.handle(Register(email="a"), uow)).first, int)
    assert_type(await bus.batch([Register(email="a")]), Sequence[Results[Any]])


def a_unit_of_work_is_of_the_kind_of_its_bus(
    bus: MessageBus, other: AsyncMessageBus, uow: FakeUnitOfWork, unlike: AsyncFakeUnitOfWork
) -> None:
    bus.handle(Register(email="a"), unlike)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    other.handle(Register(email="a"), uow)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportUnusedCoroutine]


@listen
def register(command: Register, uow: FakeUnitOfWork, emit: Emit) -> int:
    return len(command.email)


@listen(on_error=OnError.LOG)
async def greet(event: Registered) -> None:
    assert_type(event.email, str)


@listen
class Greeter:
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def handle(self, event: Registered) -> str:
        return f"{self.greeting} {event.email}"


def a_decorated_handler_stays_what_it_is(uow: FakeUnitOfWork) -> None:
    assert_type(register(Register(email="a"), uow, uow.emit), int)
    assert_type(Greeter("hello").handle(Registered(email="a")), str)
    register(Registered(email="a"), uow, uow.emit)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def a_handler_fits_its_message(bus: AsyncMessageBus) -> None:
    bus.add_handler(Register, register)
    bus.add_handler(Registered, greet, on_error=OnError.RAISE)
    bus.add_handler(Registered, register)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]


class Count(DomainEventHandler[Registered]):
    async def handle(self, event: Registered) -> int:
        return len(event.email)


class CountAll(DomainEventHandler[DomainEvent]):
    async def handle(self, event: DomainEvent) -> None:
        """Whatever it is."""


class Other(DomainEvent):
    pass


async def handlers_fit_their_event(registry: HandlerRegistry) -> None:
    registry.register(Registered, Count, CountAll)
    registry.register(Other, Count)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    dispatcher = DomainEventDispatcher(RegisteredHandlers(registry))
    async with dispatcher as same:
        assert_type(same, DomainEventDispatcher)
    dispatcher.store_event(Announced())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Account:
    email = "a"


def repositories_know_their_aggregates(seen: Seen) -> None:
    assert_type(Repository[Account](seen).see(Account()), Account)
    accounts: FakeRepository[Account, str] = FakeRepository(seen, key=lambda each: each.email)
    assert_type(accounts.get("a"), Account | None)
