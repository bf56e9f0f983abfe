"""Where aggregates come from and go to."""

from typing import Generic, TypeVar

from events_core.domain.aggregate import Seen

__all__ = ["Repository"]

A = TypeVar("A")


class Repository(Generic[A]):
    """A collection of aggregates that tells its unit of work which of them it has seen.

    Derive from it, make it with the unit's `seen`, and hand every aggregate that is added or loaded through `see`.
    """

    def __init__(self, seen: Seen) -> None:
        self.seen: Seen = seen

    def see(self, aggregate: A) -> A:
        """Have the events of this aggregate collected; gives the aggregate back."""
        return self.seen.add(aggregate)
