"""One transaction, the aggregates in it, and the events they raise: all of it is kept, or nothing."""

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from anyio import CancelScope

from events_core.domain.aggregate import Seen
from events_core.domain.stream import EventStream
from events_core.domain.unit import Status, Unit
from events_core.errors import AfterCommitFailed, ConfigurationError
from events_core.messages import Message
from events_core.ports import AfterCommit

_log = logging.getLogger(__name__)

__all__ = ["AsyncUnitOfWork", "UnitOfWork"]


class HandlesRaised(Protocol):
    """A message bus, as a unit of work knows it."""

    def handle_raised(self, uow: "UnitOfWork", /) -> object:
        """Handle what was raised in it, and what that raises, until nothing is left."""
        ...


class HandlesRaisedAsync(Protocol):
    """The same for asynchronous handlers."""

    async def handle_raised(self, uow: "AsyncUnitOfWork", /) -> object:
        """Handle what was raised in it, and what that raises, until nothing is left."""
        ...


class UnitOfWork(ABC):
    """A context manager around one transaction. Leaving it without `commit()` rolls back.

    Derive from it: `_begin` opens the transaction and makes the repositories with `self.seen`, `_commit` and
    `_rollback` end it, `_close` gives back what `_begin` took. A unit that is open is joined by inner blocks, and
    ends with the outermost one. After its end it can be used anew.

    `stream` takes what is for other services. With `bus` the domain events are handled before the commit, inside the
    transaction; a bus that is handed this unit does so by itself.
    """

    def __init__(self, *, stream: EventStream | None = None, bus: HandlesRaised | None = None) -> None:
        self.unit: Unit = Unit(stream or EventStream())
        self._bus = bus

    @property
    def seen(self) -> Seen:
        """The aggregates whose events are collected."""
        return self.unit.seen

    @property
    def stream(self) -> EventStream:
        """What is sent after the commit."""
        return self.unit.stream

    @property
    def status(self) -> Status:
        """How far it is, or how it ended last."""
        return self.unit.status

    def emit(self, *messages: Message) -> None:
        """Raise messages from outside of an aggregate: handled with the others, or sent after the commit."""
        for message in messages:
            self.unit.emit(message)

    def commit(self) -> None:
        """Keep everything. In an inner block this says that the block is content; the outermost one commits.

        Raises:
            UnitOfWorkError: it cannot commit, and rolls back.
            AfterCommitFailed: it has committed, and something that came after it failed.
        """
        if not self.unit.is_outermost_commit():
            return
        try:
            if self._bus is not None and not self.unit.driven:
                self._bus.handle_raised(self)
            afterwards = self.unit.stage()
            self._commit()
        except BaseException:
            self.rollback()
            raise
        self.unit.committed()
        _raise_failed(_do_all(afterwards))

    def rollback(self) -> None:
        """Undo everything, and drop the events raised; also what inner and outer blocks did."""
        if not self.unit.active or self.unit.status is Status.ROLLED_BACK:
            return
        self._rollback()
        _log_failed(_do_all(self.unit.rolled_back()))

    def __enter__(self) -> Self:
        if self.unit.enter():
            try:
                self._begin()
            except BaseException:
                self.unit.leave(failed=True)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.unit.is_inner:
            self.unit.leave(failed=error is not None)
            return
        try:
            if self.unit.status is Status.ACTIVE:
                self.rollback()
        finally:
            self.unit.leave(failed=error is not None)
            self.unit.forget()
            self._close()

    @abstractmethod
    def _begin(self) -> None:
        """Begin a transaction."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit it."""

    @abstractmethod
    def _rollback(self) -> None:
        """Roll it back; also called after a failed commit."""

    def _close(self) -> None:  # noqa: B027 many have nothing to give back
        """Give back what `_begin` took."""


class AsyncUnitOfWork(ABC):
    """The same as `UnitOfWork`, with `async with`, `await commit()` and asynchronous `_begin`, `_commit`, and so on."""

    def __init__(self, *, stream: EventStream | None = None, bus: HandlesRaisedAsync | None = None) -> None:
        self.unit: Unit = Unit(stream or EventStream())
        self._bus = bus

    @property
    def seen(self) -> Seen:
        """The aggregates whose events are collected."""
        return self.unit.seen

    @property
    def stream(self) -> EventStream:
        """What is sent after the commit."""
        return self.unit.stream

    @property
    def status(self) -> Status:
        """How far it is, or how it ended last."""
        return self.unit.status

    def emit(self, *messages: Message) -> None:
        """Raise messages from outside of an aggregate: handled with the others, or sent after the commit."""
        for message in messages:
            self.unit.emit(message)

    async def commit(self) -> None:
        """Keep everything. In an inner block this says that the block is content; the outermost one commits.

        Raises:
            UnitOfWorkError: it cannot commit, and rolls back.
            AfterCommitFailed: it has committed, and something that came after it failed.
        """
        if not self.unit.is_outermost_commit():
            return
        try:
            if self._bus is not None and not self.unit.driven:
                await self._bus.handle_raised(self)
            afterwards = self.unit.stage()
            with CancelScope(shield=True):  # cancelled half-way, nobody would know whether it holds
                await self._commit()
        except BaseException:
            await self.rollback()
            raise
        self.unit.committed()
        _raise_failed(await _do_all_async(afterwards))

    async def rollback(self) -> None:
        """Undo everything, and drop the events raised; also what inner and outer blocks did."""
        if not self.unit.active or self.unit.status is Status.ROLLED_BACK:
            return
        with CancelScope(shield=True):
            await self._rollback()
        _log_failed(await _do_all_async(self.unit.rolled_back()))

    async def __aenter__(self) -> Self:
        if self.unit.enter():
            try:
                await self._begin()
            except BaseException:
                self.unit.leave(failed=True)
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.unit.is_inner:
            self.unit.leave(failed=error is not None)
            return
        try:
            if self.unit.status is Status.ACTIVE:
                await self.rollback()
        finally:
            self.unit.leave(failed=error is not None)
            self.unit.forget()
            with CancelScope(shield=True):
                await self._close()

    @abstractmethod
    async def _begin(self) -> None:
        """Begin a transaction."""

    @abstractmethod
    async def _commit(self) -> None:
        """Commit it."""

    @abstractmethod
    async def _rollback(self) -> None:
        """Roll it back; also called after a failed commit."""

    async def _close(self) -> None:  # noqa: B027 many have nothing to give back
        """Give back what `_begin` took."""


def _do_all(steps: Iterable[AfterCommit]) -> list[Exception]:
    """Do every step, whatever another raises; what was raised."""
    failed: list[Exception] = []
    for step in steps:
        try:
            if inspect.isawaitable(step()):
                failed.append(_needs_async(step))
        except Exception as error:  # noqa: BLE001 the transaction has ended: what failed after it is reported
            failed.append(error)
    return failed


async def _do_all_async(steps: Iterable[AfterCommit]) -> list[Exception]:
    failed: list[Exception] = []
    for step in steps:
        try:
            done = step()
            if inspect.isawaitable(done):
                await done
        except Exception as error:  # noqa: BLE001 the transaction has ended: what failed after it is reported
            failed.append(error)
    return failed


def _needs_async(step: AfterCommit) -> Exception:
    return ConfigurationError(f"{step!r} is asynchronous: give it to an AsyncUnitOfWork")


def _raise_failed(errors: list[Exception]) -> None:
    if errors:
        raise AfterCommitFailed(errors) from errors[0]


def _log_failed(errors: list[Exception]) -> None:
    for error in errors:
        _log.error("a hook after rollback failed", exc_info=error)
