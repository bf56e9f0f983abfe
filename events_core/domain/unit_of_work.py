"""One transaction, the aggregates in it, and the events they raise: all of it is kept, or nothing."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from anyio import CancelScope

from events_core.domain.aggregate import Seen
from events_core.domain.endings import do_all, do_all_async, log_failed, raise_failed, refuse_async, to_the_end
from events_core.domain.stream import EventStream
from events_core.domain.unit import Status, Unit
from events_core.messages import Message
from events_core.ports import AfterCommit

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

    `stream` takes what is for other services; without one such an event is a `ConfigurationError`. With `bus` the
    domain events are handled before the commit, inside the transaction; a bus that is handed this unit does so by
    itself.
    """

    def __init__(self, *, stream: EventStream | None = None, bus: HandlesRaised | None = None) -> None:
        self.unit: Unit = Unit(stream or EventStream.refusing())
        self.seen: Seen = self.unit.seen
        """The aggregates whose events are collected."""
        self.stream: EventStream = self.unit.stream
        """What is sent after the commit."""
        self._bus = bus

    @property
    def status(self) -> Status:
        """How far it is, or how it ended last."""
        return self.unit.status

    def emit(self, *messages: Message) -> None:
        """Raise messages from outside of an aggregate: handled with the others, or sent after the commit."""
        self.unit.emit(*messages)

    def commit(self) -> None:
        """Keep everything. In an inner block, or a handler, it says that this one is content; the outermost one commits.

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
            refuse_async(afterwards)
            self._commit()
        except BaseException:
            self.rollback()
            raise
        self.unit.committed()
        raise_failed(do_all(afterwards))

    def rollback(self) -> None:
        """Undo everything, and drop the events raised; also what inner and outer blocks did."""
        if not self.unit.active or self.unit.status is Status.ROLLED_BACK:
            return
        afterwards = self.unit.rolled_back()
        try:
            self._rollback()
        finally:
            log_failed(do_all(afterwards))

    def __enter__(self) -> Self:
        if self.unit.enter():
            try:
                self._begin()
            except BaseException:
                self.unit.not_begun()
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
        """Begin a transaction. Where this raises, nothing else is called: what was taken is given back here."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit it."""

    @abstractmethod
    def _rollback(self) -> None:
        """Roll it back; also called after a failed commit."""

    def _close(self) -> None:  # noqa: B027 many have nothing to give back
        """Give back what `_begin` took; what was done after the last commit is not to be kept."""


class AsyncUnitOfWork(ABC):
    """The same as `UnitOfWork`, with `async with`, `await commit()` and asynchronous `_begin`, `_commit`, and so on."""

    def __init__(self, *, stream: EventStream | None = None, bus: HandlesRaisedAsync | None = None) -> None:
        self.unit: Unit = Unit(stream or EventStream.refusing())
        self.seen: Seen = self.unit.seen
        """The aggregates whose events are collected."""
        self.stream: EventStream = self.unit.stream
        """What is sent after the commit."""
        self._bus = bus

    @property
    def status(self) -> Status:
        """How far it is, or how it ended last."""
        return self.unit.status

    def emit(self, *messages: Message) -> None:
        """Raise messages from outside of an aggregate: handled with the others, or sent after the commit."""
        self.unit.emit(*messages)

    async def commit(self) -> None:
        """Keep everything. In an inner block, or a handler, it says that this one is content; the outermost one commits.

        Raises:
            UnitOfWorkError: it cannot commit, and rolls back.
            AfterCommitFailed: it has committed, and something that came after it failed.
        """
        if not self.unit.is_outermost_commit():
            return
        try:
            if self._bus is not None and not self.unit.driven:
                await self._bus.handle_raised(self)
            # Cancelled half-way, nobody would know whether it holds.
            await to_the_end(self._commit_and_after(self.unit.stage()))
        except BaseException:
            if self.unit.status is not Status.COMMITTED:
                await self.rollback()
            raise

    async def rollback(self) -> None:
        """Undo everything, and drop the events raised; also what inner and outer blocks did."""
        if not self.unit.active or self.unit.status is Status.ROLLED_BACK:
            return
        await to_the_end(self._rollback_and_after(self.unit.rolled_back()))

    async def __aenter__(self) -> Self:
        if self.unit.enter(asyncio.current_task()):
            try:
                await self._begin()
            except BaseException:
                self.unit.not_begun()
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

    async def _commit_and_after(self, afterwards: Sequence[AfterCommit]) -> None:
        await self._commit()
        self.unit.committed()
        raise_failed(await do_all_async(afterwards))

    async def _rollback_and_after(self, afterwards: Sequence[AfterCommit]) -> None:
        try:
            await self._rollback()
        finally:
            log_failed(await do_all_async(afterwards))

    @abstractmethod
    async def _begin(self) -> None:
        """Begin a transaction. Where this raises, nothing else is called: what was taken is given back here."""

    @abstractmethod
    async def _commit(self) -> None:
        """Commit it. Called in a task of its own, which no cancellation of the caller reaches."""

    @abstractmethod
    async def _rollback(self) -> None:
        """Roll it back; also called after a failed commit. In a task of its own as well."""

    async def _close(self) -> None:  # noqa: B027 many have nothing to give back
        """Give back what `_begin` took; what was done after the last commit is not to be kept."""
