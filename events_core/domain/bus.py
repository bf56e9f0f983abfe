"""The message buses: whoever hands over a message gets back what its handlers returned."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

import anyio

from events_core.domain.drivers import drive, drive_async, step, step_async
from events_core.domain.engine import RESERVED, Results, Run
from events_core.domain.routes import Handlers, Routes
from events_core.domain.unit_of_work import AsyncUnitOfWork, UnitOfWork
from events_core.errors import BatchFailed, ConfigurationError
from events_core.handlers import Dependencies, OnError
from events_core.messages import Command, IntegrationEvent, Message

__all__ = ["AsyncMessageBus", "MessageBus"]

M = TypeVar("M", bound=Message)
R = TypeVar("R")
U = TypeVar("U", UnitOfWork, AsyncUnitOfWork)
P = ParamSpec("P")


class MessageBus:
    """Hands commands and events to plain functions, and what these raise to the next ones, until nothing is left.

    | option | meaning | default |
    |---|---|---|
    | `handlers` | a table: a command's handler, the handlers of an event | none |
    | `dependencies` | what handlers may name: values, or each a `Factory` | none |
    | `at_call` | the names that every call of `handle` gives | none |
    | `on_error` | what becomes of a handler's error, unless the handler says otherwise | `OnError.RAISE` |
    | `strict` | an event without handler is an error | False |
    """

    def __init__(
        self,
        handlers: Handlers | None = None,
        *,
        dependencies: Mapping[str, object] | None = None,
        at_call: Iterable[str] = (),
        on_error: OnError = OnError.RAISE,
        strict: bool = False,
    ) -> None:
        self._dependencies = Dependencies(dependencies, at_call=at_call, reserved=RESERVED)
        self._routes = Routes(self._dependencies, on_error=on_error, strict=strict, allow_async=False)
        self._routes.add_all(handlers or {})

    def add_handler(
        self, message_type: type[M], handler: Callable[Concatenate[M, P], object], *, on_error: OnError | None = None
    ) -> None:
        """Have a message handled; before the first call of `handle`.

        `ConfigurationError` for a coroutine function, and for one that needs what nobody gives.
        """
        self._routes.add(message_type, handler, on_error)

    def scan(self, package: str) -> None:
        """Add every handler below a package that is marked with `@listen`. Twice is as good as once."""
        self._routes.scan(package)

    @overload
    def handle(self, message: Command[R], uow: UnitOfWork | None = None, **given: object) -> Results[R]: ...
    @overload
    def handle(self, message: Message, uow: UnitOfWork | None = None, **given: object) -> Results[Any]: ...
    def handle(self, message: Message, uow: UnitOfWork | None = None, **given: object) -> Results[Any]:
        """Handle a message, and everything that it causes: first in, first out, in the same unit of work.

        The unit is begun and committed here, unless it is open: then it is joined, and whoever opened it commits.
        A handler's error ends the call, comes out as it is, and rolls back what was begun here.
        """
        if uow is None or uow.unit.active:
            return self._drive([message], uow, given)
        with uow:
            results = self._drive([message], uow, given)
            if uow.unit.wants_commit:
                uow.commit()
        return results

    def handle_alone(
        self, message: Message, uow: UnitOfWork | None = None, **given: object
    ) -> tuple[Results[Any], list[Message]]:
        """Run the handlers of one message, and give back what they raised: handled by nobody, and sent nowhere.

        The unit of work is begun and left without commit, unless it is open: then it is joined, and what was raised in
        it before is given back as well.
        """
        run = Run([message], self._dependencies.scope(given), uow)
        with nullcontext() if uow is None or uow.unit.active else uow, run:
            step(run, self._routes.of)
            return run.results, run.take_raised()

    @property
    def events(self) -> tuple[type[IntegrationEvent], ...]:
        """The integration events that it handles, in order of registration."""
        return self._routes.events

    def handle_raised(self, uow: UnitOfWork, /) -> Results[Any]:
        """Handle what was raised in an open unit of work, and everything that this causes."""
        return self._drive((), uow, {})

    def batch(
        self, messages: Iterable[Message], *, uow: Callable[[], UnitOfWork] | None = None, **given: object
    ) -> Sequence[Results[Any]]:
        """Handle messages that have nothing to do with each other, each in a unit of work of its own.

        The results stand in the position of their messages. All are handled, then `BatchFailed` tells of errors.
        """
        outcomes: list[Results[Any] | Exception] = []
        for message in messages:
            try:
                outcomes.append(self.handle(message, None if uow is None else _fresh(uow()), **given))
            except Exception as error:  # noqa: BLE001 raised below, with the others
                outcomes.append(error)
        return _all_or_failed(outcomes)

    def _drive(self, messages: Iterable[Message], uow: UnitOfWork | None, given: Mapping[str, object]) -> Results[Any]:
        run = Run(messages, self._dependencies.scope(given), uow)
        drive(run, self._routes.of)
        return run.results


class AsyncMessageBus:
    """The same as `MessageBus` for coroutine functions; plain functions are called in place, and must not block.

    With `concurrent` the handlers of one event run side by side; each has ended when `handle` returns or raises.
    """

    def __init__(
        self,
        handlers: Handlers | None = None,
        *,
        dependencies: Mapping[str, object] | None = None,
        at_call: Iterable[str] = (),
        on_error: OnError = OnError.RAISE,
        strict: bool = False,
        concurrent: bool = False,
    ) -> None:
        self._dependencies = Dependencies(dependencies, at_call=at_call, reserved=RESERVED)
        self._routes = Routes(self._dependencies, on_error=on_error, strict=strict, allow_async=True)
        self._routes.add_all(handlers or {})
        self._concurrent = concurrent

    def add_handler(
        self, message_type: type[M], handler: Callable[Concatenate[M, P], object], *, on_error: OnError | None = None
    ) -> None:
        """Have a message handled; before the first call of `handle`.

        `ConfigurationError` for one that needs what nobody gives.
        """
        self._routes.add(message_type, handler, on_error)

    def scan(self, package: str) -> None:
        """Add every handler below a package that is marked with `@listen`. Twice is as good as once."""
        self._routes.scan(package)

    @overload
    async def handle(self, message: Command[R], uow: AsyncUnitOfWork | None = None, **given: object) -> Results[R]: ...
    @overload
    async def handle(self, message: Message, uow: AsyncUnitOfWork | None = None, **given: object) -> Results[Any]: ...
    async def handle(self, message: Message, uow: AsyncUnitOfWork | None = None, **given: object) -> Results[Any]:
        """Handle a message, and everything that it causes: first in, first out, in the same unit of work.

        The unit is begun and committed here, unless it is open: then it is joined, and whoever opened it commits.
        A handler's error ends the call, comes out as it is, and rolls back what was begun here.
        """
        if uow is None:
            return await self._drive([message], uow, given)
        if uow.unit.active:
            uow.unit.join(asyncio.current_task())
            return await self._drive([message], uow, given)
        async with uow:
            results = await self._drive([message], uow, given)
            if uow.unit.wants_commit:
                await uow.commit()
        return results

    async def handle_alone(
        self, message: Message, uow: AsyncUnitOfWork | None = None, **given: object
    ) -> tuple[Results[Any], list[Message]]:
        """Run the handlers of one message, and give back what they raised: handled by nobody, and sent nowhere.

        The unit of work is begun and left without commit, unless it is open: then it is joined, and what was raised in
        it before is given back as well.
        """
        run = Run([message], self._dependencies.scope(given), uow)
        if uow is not None and uow.unit.active:
            uow.unit.join(asyncio.current_task())
        async with nullcontext() if uow is None or uow.unit.active else uow:
            with run:
                await step_async(run, self._routes.of, concurrent=self._concurrent)
                return run.results, run.take_raised()

    @property
    def events(self) -> tuple[type[IntegrationEvent], ...]:
        """The integration events that it handles, in order of registration."""
        return self._routes.events

    async def handle_raised(self, uow: AsyncUnitOfWork, /) -> Results[Any]:
        """Handle what was raised in an open unit of work, and everything that this causes."""
        return await self._drive((), uow, {})

    async def batch(
        self,
        messages: Iterable[Message],
        *,
        uow: Callable[[], AsyncUnitOfWork] | None = None,
        limit: int = 10,
        **given: object,
    ) -> Sequence[Results[Any]]:
        """Handle messages that have nothing to do with each other, at most `limit` at a time.

        Each has a unit of work of its own. The results stand in the position of their messages. All are handled, then
        `BatchFailed` tells of errors.
        """
        if limit < 1:
            raise ConfigurationError(f"limit is at least 1, not {limit}")
        outcomes: dict[int, Results[Any] | Exception] = {}
        listed = list(messages)
        waiting = enumerate(listed)

        async def work() -> None:
            for place, message in waiting:
                try:
                    unit = None if uow is None else _fresh(uow())
                    outcomes[place] = await self.handle(message, unit, **given)
                except Exception as error:  # noqa: BLE001 raised below, with the others
                    outcomes[place] = error

        async with anyio.create_task_group() as tasks:
            for _ in range(min(limit, len(listed))):
                tasks.start_soon(work)
        return _all_or_failed([outcomes[place] for place in range(len(listed))])

    async def _drive(
        self, messages: Iterable[Message], uow: AsyncUnitOfWork | None, given: Mapping[str, object]
    ) -> Results[Any]:
        run = Run(messages, self._dependencies.scope(given), uow)
        await drive_async(run, self._routes.of, concurrent=self._concurrent)
        return run.results


def _fresh(uow: U) -> U:
    if uow.unit.active:
        raise ConfigurationError("uow gave a unit of work that is open; it makes one for each message")
    return uow


def _all_or_failed(outcomes: Sequence[Results[Any] | Exception]) -> Sequence[Results[Any]]:
    if any(isinstance(each, Exception) for each in outcomes):
        raise BatchFailed(outcomes)
    return [each for each in outcomes if not isinstance(each, Exception)]
