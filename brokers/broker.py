from typing import Protocol, Self


class BrokerUnavailable(Exception):
    """The broker's software is missing and cannot be installed here; the message says what to do."""


class BrokerFailed(Exception):
    """The broker, or a command for it, ended or took too long; the message carries its own last words."""


class Broker(Protocol):
    """A real broker that a test may start, hurt and bring back. Every call blocks until it is done."""

    @property
    def url(self) -> str:
        """Where clients connect; it stays the same from start to start, user and password included."""
        ...

    def start(self) -> None:
        """Start it and return when it accepts work; after `stop` or `kill` it comes back with the same storage.

        Raises:
            BrokerFailed: It ended, or was not ready in time.
        """
        ...

    def stop(self) -> None:
        """End it in good order. Nothing is left running, its storage stays; without effect when it does not run."""
        ...

    def kill(self) -> None:
        """SIGKILL it at once, as a crash would."""
        ...

    def freeze(self) -> None:
        """Pause it: connections stay open, and nothing answers."""
        ...

    def resume(self) -> None:
        """Let a frozen broker go on."""
        ...

    def logs(self) -> str:
        """What it logged since it was first started."""
        ...

    def __enter__(self) -> Self:
        """Start it."""
        ...

    def __exit__(self, *_: object) -> None:
        """Stop it; what it leaves is in its folder."""
        ...
