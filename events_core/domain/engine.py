"""One call of a message bus: a queue, and what came of each message. The drivers beside it call the handlers."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, Self, TypeVar, cast, overload

from events_core.domain.unit import Driven, Status
from events_core.domain.unit_of_work import AsyncUnitOfWork, UnitOfWork
from events_core.errors import ConfigurationError, NoHandler, UnitOfWorkError
from events_core.handlers import Handler, OnError, Scope
from events_core.messages import DomainEvent, IntegrationEvent, Message

__all__ = ["RESERVED", "Emit", "Outcome", "Results", "Route", "Run", "refuse_to_lose"]

R_co = TypeVar("R_co", covariant=True)

RESERVED: Final = ("uow", "emit")
"""What the bus itself gives to handlers that name it."""

_log: Final = logging.getLogger(__name__)


class Emit(Protocol):
    """What a handler that names `emit` is given: `def register(command: Register, emit: Emit) -> None`."""

    def __call__(self, *messages: Message) -> None:
        """Raise messages: handled behind those that wait, or sent after the commit."""
        ...


class Outcome(NamedTuple):
    """What one handler did with one message: its value, or the error that was logged."""

    message: Message
    handler: str
    value: Any
    error: Exception | None


class Results(Sequence[Any], Generic[R_co]):
    """What the handlers returned, in the order in which they ran: of the message itself, then of what it caused."""

    __slots__ = ("_outcomes",)

    def __init__(self, outcomes: Sequence[tuple[Message, str, Any, Exception | None]]) -> None:
        self._outcomes = outcomes

    @property
    def first(self) -> R_co:
        """What the first handler returned; raises its error if that was logged, `NoHandler` if there was none."""
        if not self._outcomes:
            raise NoHandler("no handler ran, so there is no first value")
        *_, value, error = self._outcomes[0]
        if error is not None:
            raise error
        return cast("R_co", value)

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """Which handler did what with which message, failures that were logged included."""
        return [Outcome(*each) for each in self._outcomes]

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401 each handler returns what it likes
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._values()[index]

    def __len__(self) -> int:
        return len(self._values())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __eq__(self, other: object) -> bool:
        return (
            self._values() == list(cast("Iterable[Any]", other))
            if isinstance(other, list | Results)
            else NotImplemented
        )

    __hash__: ClassVar[None]  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]  # a sequence of anything

    def __repr__(self) -> str:
        return f"Results({self._values()!r})"

    def _values(self) -> list[Any]:
        return [value for *_, value, error in self._outcomes if error is None]


class Route(NamedTuple):
    """A handler as it is registered: with what becomes of its errors."""

    handler: Handler
    on_error: OnError


class Run:
    """The messages of one call, first in, first out; those that handlers raise queue up behind.

    As a context manager it says to its unit of work that the events raised there are taken care of.
    """

    __slots__ = ("_before", "_outcomes", "_unit", "queue", "scope")

    def __init__(
        self,
        messages: Iterable[Message],
        scope: Scope,
        uow: UnitOfWork | AsyncUnitOfWork | None = None,
    ) -> None:
        if uow is None:
            scope.values["emit"] = self.emit
        else:
            scope.values |= {"emit": uow.emit, "uow": uow}
        self.queue: deque[Message] = deque(messages)
        self.scope: Scope = scope
        self._unit = None if uow is None else uow.unit
        self._before: Driven | None = None
        self._outcomes: list[tuple[Message, str, Any, Exception | None]] = []

    def __enter__(self) -> Self:
        if self._unit is not None:
            self._before = self._unit.drive()
            self.collect()
        return self

    def __exit__(self, *_: object) -> None:
        self.scope.values.clear()  # it knows this run, which knows it
        if self._unit is not None and self._before is not None:
            self._unit.drive_no_more(self._before)

    @property
    def results(self) -> Results[Any]:
        """What came of it."""
        return Results(self._outcomes)

    def emit(self, *messages: Message) -> None:
        """Have messages handled behind those that wait; where there is no unit of work to emit them in."""
        for message in messages:
            refuse_to_lose(message)
        self.queue.extend(messages)

    def arguments(self, handler: Handler) -> dict[str, object]:
        """What a handler is given by name, where nothing has to be awaited."""
        if self.scope.is_plain:
            return handler.arguments(self.scope.values)
        given = self.scope.arguments(handler)
        self._hook(given)
        return given

    async def arguments_async(self, handler: Handler) -> dict[str, object]:
        """What a handler is given by name."""
        given = await self.scope.arguments_async(handler)
        self._hook(given)
        return given

    def begins(self) -> None:
        """A handler begins, or several side by side."""
        if self._unit is not None:
            self._unit.handling()

    def side_by_side(self) -> AbstractContextManager[None]:
        """Meanwhile handlers run in tasks of their own."""
        return nullcontext() if self._unit is None else self._unit.side_by_side()

    def succeeded(
        self, message: Message, handler: Handler, value: object, task: "asyncio.Task[Any] | None" = None
    ) -> None:
        """Take note of what a handler returned (in this task, where it is asynchronous), and queue what it raised."""
        self._outcomes.append((message, handler.name, value, None))
        if self._unit is not None:
            self._unit.handled(task)
            self.collect()

    def ends_with(self, route: Route, error: Exception) -> bool:
        """Whether this error ends the call. A transaction that cannot commit does, whatever was asked for."""
        return route.on_error is OnError.RAISE or isinstance(error, UnitOfWorkError)

    def tolerates(self, message: Message, route: Route, error: Exception) -> bool:
        """Whether to go on after this error: it is logged then, and what was raised before it is queued."""
        if self.ends_with(route, error):
            return False
        name = route.handler.name
        _log.error("%s failed on %s, and the others go on", name, type(message).__name__, exc_info=error)
        self._outcomes.append((message, name, None, error))
        self.collect()
        return True

    def take_raised(self) -> list[Message]:
        """What waits to be handled, and then what waits to be sent alone; neither waits any more."""
        waiting: list[Message] = list(self.queue)
        self.queue.clear()
        if self._unit is not None:
            handled = {id(each) for each in waiting}
            waiting += [each.event for each in self._unit.stream.pending if id(each.event) not in handled]
            self._unit.stream.clear()
        return waiting

    def collect(self) -> None:
        """Queue what was raised in the unit of work; drop everything if it is rolled back."""
        if self._unit is None:
            return
        self.queue.extend(self._unit.collect())
        if self._unit.status is Status.ROLLED_BACK:
            self.queue.clear()

    def _hook(self, given: dict[str, object]) -> None:
        if self._unit is not None and self.scope.hooked:
            for name, dependency in given.items():
                if name in self.scope.hooked:
                    self._unit.hook(dependency)


def refuse_to_lose(message: Message) -> None:
    """Refuse what is for other services where there is no unit of work that it could leave with."""
    if isinstance(message, IntegrationEvent) or (isinstance(message, DomainEvent) and message.__published__):
        name = type(message).__name__
        raise ConfigurationError(
            f"{name} is for other services and leaves with a unit of work; hand one to a message bus: bus.handle(..., uow)"
        )
