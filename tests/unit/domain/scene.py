"""A command, its events, aggregates that raise them, and both kinds of bus and unit of work behind one face."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import anyio.lowlevel
import pytest

from events_core import (
    AggregateRoot,
    AsyncMessageBus,
    AsyncUnitOfWork,
    Command,
    DomainEvent,
    IntegrationEvent,
    Message,
    MessageBus,
    Topic,
    UnitOfWork,
)
from events_core.domain import Emit, EventStream, RecordingSink, Results
from events_core.ports import AfterCommit, Outgoing, Sink

NEWS = Topic("news")

Handler: TypeAlias = Callable[..., Any]


class Brew(Command[str]):
    cups: int = 1


class Clean(Command):
    pass


class Brewed(DomainEvent):
    number: int = 0


class Poured(DomainEvent):
    number: int = 0


class CupSold(DomainEvent, published=True):
    number: int = 0


class StockFell(IntegrationEvent, key="item"):
    type = "coffee.stock_fell"
    version = 1
    item: str = "beans"


class Machine(AggregateRoot):
    """Raises what it is told to."""

    def raise_events(self, *events: DomainEvent | IntegrationEvent) -> None:
        for event in events:
            self.publish_event(event)


class Trace:
    """What happened to a unit of work, in order, and what is to go wrong."""

    def __init__(self, fails: dict[str, BaseException] | None = None) -> None:
        self.steps: list[str] = []
        self._fails = fails or {}

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if step in self._fails:
            raise self._fails[step]


class SyncUnit(UnitOfWork):
    def __init__(self, trace: Trace, stream: EventStream, bus: MessageBus | None = None) -> None:
        super().__init__(stream=stream, bus=bus)
        self.trace = trace

    def _begin(self) -> None:
        self.trace("begin")

    def _commit(self) -> None:
        self.trace("commit")

    def _rollback(self) -> None:
        self.trace("rollback")

    def _close(self) -> None:
        self.trace("close")


class AsyncUnit(AsyncUnitOfWork):
    def __init__(self, trace: Trace, stream: EventStream, bus: AsyncMessageBus | None = None) -> None:
        super().__init__(stream=stream, bus=bus)
        self.trace = trace

    async def _step(self, step: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.trace(step)

    async def _begin(self) -> None:
        await self._step("begin")

    async def _commit(self) -> None:
        await self._step("commit")

    async def _rollback(self) -> None:
        await self._step("rollback")

    async def _close(self) -> None:
        await self._step("close")


Bus: TypeAlias = Any
"""Of either kind: what is the same for both is called the same."""
Unit: TypeAlias = Any
Option: TypeAlias = Any
Table: TypeAlias = Mapping[type[Message], Handler | Iterable[Handler]] | None
Act = Callable[[Unit], object]
"""What a block does with its unit of work."""


class Side(ABC):
    """One of the two drivers. Plain functions are handlers on both; blocks differ."""

    def __init__(self) -> None:
        self.sink = RecordingSink()

    @property
    def sent(self) -> list[IntegrationEvent | DomainEvent]:
        return self.sink.events

    @abstractmethod
    def bus(self, handlers: Table = None, **options: Option) -> Bus:
        """A message bus of this kind."""

    @abstractmethod
    def unit(self, *, sink: Sink | None = None, bus: Bus = None, **fails: BaseException) -> Unit:
        """A unit of work of this kind; `commit=OSError()` makes its commit fail, and so on."""

    @abstractmethod
    async def handle(self, bus: Bus, message: Message, uow: Unit = None, **given: object) -> Results[Any]:
        """Call the bus."""

    @abstractmethod
    async def batch(self, bus: Bus, messages: Iterable[Message], **options: Option) -> Sequence[Results[Any]]:
        """Call the bus."""

    @abstractmethod
    async def within(self, uow: Unit, act: Act = lambda _: None, *, commit: bool = True) -> None:
        """A block: begin or join, act, and commit."""

    @abstractmethod
    def block(self, act: Act = lambda _: None, *, commit: bool = True) -> Handler:
        """A handler with a block of its own."""


class Sync(Side):
    def bus(self, handlers: Table = None, **options: Option) -> Bus:
        return MessageBus(handlers, **options)

    def unit(self, *, sink: Sink | None = None, bus: Bus = None, **fails: BaseException) -> Unit:
        return SyncUnit(Trace(fails), EventStream(sink or self.sink, NEWS), bus)

    async def handle(self, bus: Bus, message: Message, uow: Unit = None, **given: object) -> Results[Any]:
        results: Results[Any] = bus.handle(message, uow, **given)
        return results

    async def batch(self, bus: Bus, messages: Iterable[Message], **options: Option) -> Sequence[Results[Any]]:
        results: Sequence[Results[Any]] = bus.batch(messages, **options)
        return results

    async def within(self, uow: Unit, act: Act = lambda _: None, *, commit: bool = True) -> None:
        with uow:
            act(uow)
            if commit:
                uow.commit()

    def block(self, act: Act = lambda _: None, *, commit: bool = True) -> Handler:
        def handle_in_block(message: Message, uow: SyncUnit) -> None:
            with uow:
                act(uow)
                if commit:
                    uow.commit()

        return handle_in_block


class Async(Side):
    def bus(self, handlers: Table = None, **options: Option) -> Bus:
        return AsyncMessageBus(handlers, **options)

    def unit(self, *, sink: Sink | None = None, bus: Bus = None, **fails: BaseException) -> Unit:
        return AsyncUnit(Trace(fails), EventStream(sink or self.sink, NEWS), bus)

    async def handle(self, bus: Bus, message: Message, uow: Unit = None, **given: object) -> Results[Any]:
        results: Results[Any] = await bus.handle(message, uow, **given)
        return results

    async def batch(self, bus: Bus, messages: Iterable[Message], **options: Option) -> Sequence[Results[Any]]:
        results: Sequence[Results[Any]] = await bus.batch(messages, **options)
        return results

    async def within(self, uow: Unit, act: Act = lambda _: None, *, commit: bool = True) -> None:
        async with uow:
            act(uow)
            if commit:
                await uow.commit()

    def block(self, act: Act = lambda _: None, *, commit: bool = True) -> Handler:
        async def handle_in_block(message: Message, uow: AsyncUnit) -> None:
            async with uow:
                act(uow)
                if commit:
                    await uow.commit()

        return handle_in_block


class Opened:
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


both_sides = pytest.mark.parametrize("make_side", [Sync, Async])


class BrokenSink:
    """Fails when it is handed events, or after the commit."""

    def __init__(self, error: Exception, *, after_commit: bool = False) -> None:
        self._error = error
        self._after_commit = after_commit

    def stage(self, outgoing: Iterable[Outgoing]) -> AfterCommit:
        if not self._after_commit:
            raise self._error
        return self._fail

    def _fail(self) -> None:
        raise self._error


def raises(error: BaseException) -> Handler:
    """A handler, or a hook, that fails."""

    def fail(_: object = None) -> None:
        raise error

    return fail


def ignore(message: Message) -> None:
    """Handle it by doing nothing."""


def returns(value: object) -> Handler:
    """A handler that returns a value."""

    def handle(message: Message) -> object:
        return value

    return handle


def emits(*messages: Message) -> Handler:
    """A handler that emits messages."""

    def handle(message: Message, emit: Emit) -> None:
        emit(*messages)

    return handle
