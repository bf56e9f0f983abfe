"""What a unit of work is, apart from how it talks to a database: the same for the sync and the async one."""

from enum import Enum

from events_core.domain.aggregate import Raised, Seen, next_place, place_of
from events_core.domain.stream import EventStream
from events_core.errors import UnitOfWorkError
from events_core.messages import DomainEvent, IntegrationEvent, Message
from events_core.ports import AfterCommit

__all__ = ["Status", "Unit"]


class Status(Enum):
    """How far a unit of work is."""

    NEW = "new"
    ACTIVE = "active"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


class Unit:
    """One unit of work: its nested blocks, what they agreed on, and the events raised inside.

    Blocks inside one unit share its end. If all of them commit, it commits; if none does, it rolls back; if they
    disagree, the one that notices fails with `UnitOfWorkError`, and it rolls back.
    """

    def __init__(self, stream: EventStream) -> None:
        self.stream: EventStream = stream
        self.seen: Seen = Seen()
        self.status: Status = Status.NEW
        self.driven: bool = False
        """Whether a message bus handles its events right now."""
        self._emitted: list[Raised] = []
        self._hooked: dict[int, object] = {}
        self._committed_blocks: list[bool] = []
        """For each open block, whether it has committed."""
        self._agreed: bool | None = None
        """How the inner blocks ended: with a commit or without, None as long as there was none."""

    @property
    def active(self) -> bool:
        """Whether it is between its beginning and its end."""
        return bool(self._committed_blocks)

    @property
    def is_inner(self) -> bool:
        """Whether the current block stands inside another one of this unit."""
        return len(self._committed_blocks) > 1

    @property
    def wants_commit(self) -> bool:
        """Whether no inner block left without commit."""
        return self._agreed is not False

    def enter(self) -> bool:
        """Begin a block; whether it is the outermost."""
        self._committed_blocks.append(False)
        if len(self._committed_blocks) > 1:
            return False
        self.status = Status.ACTIVE
        self._agreed = None
        return True

    def leave(self, *, failed: bool) -> bool:
        """End a block; whether it is the outermost. An error decides nothing here: it goes its way."""
        committed = self._committed_blocks.pop()
        if not self._committed_blocks:
            return True
        if not failed:
            self.agree(committed=committed)
        return False

    def agree(self, *, committed: bool) -> None:
        """Take note of how an inner block ended. `UnitOfWorkError` if another ended otherwise."""
        if self._agreed is None:
            self._agreed = committed
        elif self._agreed is not committed:
            raise UnitOfWorkError(
                "one block of this unit of work committed and another left without commit; commit in both, "
                "or leave the commit to the outermost block alone"
            )

    def handled(self) -> None:
        """A handler has succeeded: where it had no block of its own, it agrees to the commit of the whole."""
        if self._agreed is None:
            self._agreed = True

    def is_outermost_commit(self) -> bool:
        """Note that the current block commits; whether that is the commit of the whole."""
        if not self._committed_blocks:
            raise UnitOfWorkError("commit() outside of the unit of work; use it inside of `with uow:`")
        if self.status is Status.ROLLED_BACK:
            raise UnitOfWorkError("this unit of work is rolled back and cannot commit; begin another one")
        self._committed_blocks[-1] = True
        if len(self._committed_blocks) > 1:
            return False
        if not self.wants_commit:
            raise UnitOfWorkError(
                "a block inside this unit of work left without commit; commit there as well, or nowhere"
            )
        return True

    def emit(self, message: Message) -> None:
        """Raise an event or command from outside of an aggregate, to be handled or sent with the others."""
        if not self.active:
            raise UnitOfWorkError("emit() outside of the unit of work; use it inside of `with uow:`")
        self._emitted.append(Raised(next_place(), message))

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
        return [each.message for each in raised if self._stays(each.message)]

    def stage(self) -> list[AfterCommit]:
        """Right before the commit: what is to be done after it."""
        self.collect()
        send = self.stream.stage()
        hooks = self._hooks("after_commit")
        return [send, *hooks] if send is not None else hooks

    def committed(self) -> None:
        """The transaction holds."""
        self.status = Status.COMMITTED

    def rolled_back(self) -> list[AfterCommit]:
        """The transaction is undone, and so is everything raised; what is to be done now."""
        self.status = Status.ROLLED_BACK
        return self._hooks("after_rollback")

    def forget(self) -> None:
        """Let go of everything seen and raised."""
        self._emitted.clear()
        self._hooked.clear()
        self.seen.clear()
        self.stream.clear()

    def _stays(self, message: Message) -> bool:
        if isinstance(message, IntegrationEvent):
            self.stream.publish(message)
            return False
        if isinstance(message, DomainEvent) and message.__published__:
            self.stream.publish(message)
        return True

    def _hooks(self, name: str) -> list[AfterCommit]:
        hooks: list[AfterCommit | None] = [getattr(each, name, None) for each in self._hooked.values()]
        return [each for each in hooks if each is not None]
