from typing import Protocol


class Runtime(Protocol):
    """Where a broker's program runs: a local process or a container."""

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        ...

    def start(self) -> None:
        """Start the program; it need not be ready yet."""
        ...

    def end(self, *, timeout: float) -> None:
        """Ask it to end, and kill what is left after `timeout` seconds; without effect when it does not run."""
        ...

    def kill(self) -> None:
        """SIGKILL it with its children; without effect when it does not run."""
        ...

    def freeze(self) -> None:
        """Pause it."""
        ...

    def resume(self) -> None:
        """Let it go on."""
        ...

    def logs(self) -> str:
        """What it wrote since it was first started."""
        ...

    def run(self, *command: str) -> str:
        """What one of the broker's own tools prints, run beside it.

        Raises:
            BrokerFailed: The tool failed; the message is its own.
        """
        ...

    def discard(self) -> None:
        """Kill it and remove what would stay behind outside of its folder."""
        ...
