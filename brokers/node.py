from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from brokers.runtime import Runtime
from brokers.waiting import start

START_TIMEOUT: Final = 180.0
STOP_TIMEOUT: Final = 20.0
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


class Node:
    """A broker's program: how it starts, is hurt, and ends. Each broker adds where it is and what it can be asked.

    Args:
        name: The broker's, for messages.
        folder: Where its configuration is.
        runtime: Where its program runs.
        prepare: Says with `BrokerUnavailable` that the program is missing, or writes its configuration; before each start.
        ready: Whether it accepts work.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        runtime: Runtime,
        *,
        prepare: Callable[[], None],
        ready: Callable[[], bool],
    ) -> None:
        self._name = name
        self._folder = folder
        self._runtime = runtime
        self._prepare = prepare
        self._ready = ready

    @property
    def ca(self) -> Path:
        """The certificate (PEM) that a client has to trust; written by `start` of a node that speaks TLS."""
        return self._folder / "authority.pem"

    def start(self) -> None:
        """Start it and return when it accepts work.

        Raises:
            BrokerUnavailable: It is not installed; the message says what to do.
            BrokerFailed: It ended, or was not ready in time; the message has the end of its log.
        """
        self._prepare()
        start(self._name, self._runtime, self._ready, timeout=START_TIMEOUT)

    def stop(self) -> None:
        """Shut it down in good order, kill it after 20 s; nothing is left running, and its storage stays."""
        self._runtime.end(timeout=STOP_TIMEOUT)

    def kill(self) -> None:
        """SIGKILL it."""
        self._runtime.kill()

    def freeze(self) -> None:
        """SIGSTOP it."""
        self._runtime.freeze()

    def resume(self) -> None:
        """SIGCONT it."""
        self._runtime.resume()

    def logs(self) -> str:
        """Its log since it was first started."""
        return self._runtime.logs()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._runtime.discard()
