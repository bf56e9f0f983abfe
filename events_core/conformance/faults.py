"""What the suite does to a broker, and what it needs to know of one that is set up wrongly."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from events_core.ports import Topic, Transport

__all__ = ["Faults", "Unsafe"]


class Faults(Protocol):
    """What can happen to the broker that `connect` leads to, to all processes alike."""

    def outage(self) -> AbstractAsyncContextManager[None]:
        """On entering every connection breaks; new ones are refused until leaving. The broker itself lives on.

        A proxy between the processes and the broker does: reset all its connections, and refuse new ones.
        """
        ...

    async def restart(self) -> None:
        """End the broker as a power cut would, and start it again on what it stored; return when it accepts work."""
        ...

    async def delete(self, consumer: str, topic: Topic) -> None:
        """Delete what holds the events of a subscription, as somebody with the broker's own tools would."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsafe:
    """A broker, or an object on it, that would lose confirmed events."""

    connect: Callable[[str, Topic], Awaitable[Transport]]
    """Given a consumer's name and a topic, prepare what is unsafe for them; a new process there."""
    setting: str
    """What an operator has to change: the refusal names it."""
