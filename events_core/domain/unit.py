"""What a unit of work is, apart from how it talks to a database: the same for the sync and the async one."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

from events_core.domain.aggregate import Raised, Seen, next_place, place_of
from events_core.domain.stream import EventStream
from events_core.errors import UnitOfWorkError
from events_core.messages import DomainEvent, IntegrationEvent, Message
from events_core.ports import AfterCommit

__all__ = ["Driven", "Status", "Unit"]


class Status(Enum):
    """How far a unit of work is."""

    NEW = "new"
    ACTIVE = "active"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


class _Block:
    """A `with` block around a part of the work."""

    __slots__ = ("committed", "task")

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        self.committed: bool = False
        self.task: asyncio.Task[Any] | None = task


class Driven(NamedTuple):
    """Whether a message bus handles the events of a unit, and what is known of its current handler."""

    driven: bool
    ended: "set[asyncio.Task[Any] | None]"


class Unit:
    """One unit of work: its nested blocks, what they agreed on, and the events raised inside.

    Blocks inside one unit share its end. If all of them commit, it commits; if none does, it rolls back; if they
    disagree, the one that notices fails with `UnitOfWorkError`, and it rolls back.
    """

    def __init__(self, stream: EventStream) -> None:
        self.stream: EventStream = stream.anew()
        """Its own, though the one it was given may be that of many."""
        self.seen: Seen = Seen()
        self.status: Status = Status.NEW
        self.driven: bool = False
        """Whether a message bus handles its events right now."""
        self._emitted: list[Raised] = []
        self._hooked: dict[int, object] = {}
        self._blocks: list[_Block] = []
        self._agreed: bool | None = None
        """How the inner blocks ended: with a commit or without, None as long as there was none."""
        self._ended: set[asyncio.Task[Any] | None] = set()
        """The tasks in which an inner block ended since a handler began."""
        self._side_by_side: int = 0
        """How many blocks are around handlers that run side by side, each in a task of its own."""

    @property
    def active(self) -> bool:
        """Whether it is between its beginning and its end."""
        return bool(self._blocks)

    @property
    def is_inner(self) -> bool:
        """Whether the current block stands inside another one of this unit."""
        return len(self._blocks) > 1

    @property
    def wants_commit(self) -> bool:
        """Whether no inner block left without commit, and nobody rolled back."""
        return self._agreed is not False and self.status is not Status.ROLLED_BACK

    def enter(self, task: "asyncio.Task[Any] | None" = None) -> bool:
        """Begin a block; whether it is the outermost. `UnitOfWorkError` inside the block of another task."""
        self.join(task)
        self._blocks.append(_Block(task))
        if len(self._blocks) > 1:
            return False
        self.status = Status.ACTIVE
        self._agreed = None
        self._ended.clear()
        return True

    def not_begun(self) -> None:
        """The outermost block could not begin."""
        self._blocks.clear()
        self.status = Status.NEW

    def join(self, task: "asyncio.Task[Any] | None") -> None:
        """Refuse a task that would take part in the transaction of another one which does not wait for it."""
        if task is None or not self._blocks or len(self._blocks) == self._side_by_side:
            return
        owner = self._blocks[-1].task
        if owner is not None and owner is not task and not owner.done():
            raise UnitOfWorkError("this unit of work is open in another task; make one for each task")

    @contextmanager
    def side_by_side(self) -> Generator[None]:
        """Meanwhile other tasks may join."""
        before, self._side_by_side = self._side_by_side, len(self._blocks)
        try:
            yield
        finally:
            self._side_by_side = before

    def leave(self, *, failed: bool) -> bool:
        """End a block; whether it is the outermost. An error decides nothing here: it goes its way.

        After a rollback there is nothing left to agree on.
        """
        block = self._blocks.pop()
        if not self._blocks:
            return True
        if not failed and self.status is not Status.ROLLED_BACK:
            self._ended.add(block.task)
            self.agree(committed=block.committed)
        return False

    def agree(self, *, committed: bool) -> None:
        """Take note of how an inner block ended. `UnitOfWorkError` if another ended otherwise."""
        if self._agreed is None:
            self._agreed = committed
        elif self._agreed is not committed:
            self._agreed = False
            raise UnitOfWorkError(
                "one block of this unit of work committed and another left without commit; commit in both, "
                "or leave the commit to the outermost block alone"
            )

    def drive(self) -> "Driven":
        """A message bus handles the events from here on; what was before. After a commit, this is work for another one."""
        if self.status is Status.COMMITTED:
            self.status = Status.ACTIVE
        before = Driven(self.driven, self._ended)
        self.driven, self._ended = True, set()
        return before

    def drive_no_more(self, before: "Driven") -> None:
        """It has handled them: all is as it was."""
        self.driven, self._ended = before

    def handling(self) -> None:
        """A handler begins, or several side by side."""
        self._ended.clear()

    def handled(self, task: "asyncio.Task[Any] | None") -> None:
        """A handler has succeeded in this task: where it had no block of its own, it agrees to the commit."""
        if task not in self._ended and self.status is not Status.ROLLED_BACK:
            self.agree(committed=True)

    def is_outermost_commit(self) -> bool:
        """Note that the current block commits; whether that is the commit of the whole."""
        if not self._blocks:
            raise UnitOfWorkError("commit() outside of the unit of work; use it inside of `with uow:`")
        if self.status is Status.ROLLED_BACK:
            raise UnitOfWorkError("this unit of work is rolled back and cannot commit; begin another one")
        if len(self._blocks) > 1:
            self._blocks[-1].committed = True
            return False
        if self.driven:  # a handler without block: the others have not been asked yet
            self.agree(committed=True)
            return False
        self._refuse_unwanted()
        return True

    def emit(self, *messages: Message) -> None:
        """Raise messages from outside of an aggregate, to be handled or sent with the others."""
        if not self.active:
            raise UnitOfWorkError("emit() outside of the unit of work; use it inside of `with uow:`")
        self._emitted += [Raised(next_place(), each) for each in messages]

    def hook(self, dependency: object) -> None:
        """Tell a dependency about the end, if it has `after_commit` or `after_rollback`."""
        self._hooked[id(dependency)] = dependency

    def collect(self) -> list[Message]:
        """What was raised since the last time and is to be handled here, in order; the rest goes to the stream."""
        raised = self.seen.pop_events()
        if self._emitted:
            raised, self._emitted = sorted((*raised, *self._emitted), key=place_of), []
        if not self.wants_commit:
            return []
        return [each.message for each in raised if self._stays(each)]

    def stage(self) -> list[AfterCommit]:
        """Right before the commit: what is to be done after it. `UnitOfWorkError` where handlers do not want it."""
        self.collect()
        self._refuse_unwanted()
        send = self.stream.stage()
        hooks = self._hooks("after_commit")
        return [send, *hooks] if send is not None else hooks

    def committed(self) -> None:
        """The transaction holds, and those who had a part in it are told so once."""
        self.status = Status.COMMITTED
        self._agreed = None
        self._hooked.clear()

    def rolled_back(self) -> list[AfterCommit]:
        """The transaction is undone, and so is everything raised; what is to be done now."""
        self.status = Status.ROLLED_BACK
        return self._hooks("after_rollback")

    def forget(self) -> None:
        """Let go of everything seen and raised."""
        self._emitted.clear()
        self._hooked.clear()
        self._ended.clear()
        self.seen.clear()
        self.stream.clear()

    def _stays(self, raised: Raised) -> bool:
        if isinstance(raised.message, IntegrationEvent):
            self.stream.publish_at(raised.place, raised.message)
            return False
        if isinstance(raised.message, DomainEvent) and raised.message.__published__:
            self.stream.publish_at(raised.place, raised.message)
        return True

    def _refuse_unwanted(self) -> None:
        if not self.wants_commit:
            raise UnitOfWorkError(
                "a block inside this unit of work rolled back or left without commit; commit there as well, or nowhere"
            )

    def _hooks(self, name: str) -> list[AfterCommit]:
        hooks: list[AfterCommit | None] = [getattr(each, name, None) for each in self._hooked.values()]
        return [each for each in hooks if each is not None]
