"""Brokers in containers, where a Docker engine answers."""

import gc
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from brokers.broker import BrokerFailed

LOCAL_ONLY: Final = "local"
ALL_READ: Final = 0o755


def engine_answers() -> bool:
    """Whether brokers run in containers: a Docker engine answers, and `BROKERS=local` is not set."""
    if os.environ.get("BROKERS") == LOCAL_ONLY:
        return False
    with warnings.catch_warnings():
        # When nobody answers, the client forgets its socket; it is collected here, and not in the middle of a test.
        warnings.simplefilter("ignore", ResourceWarning)
        with suppress(Exception):
            DockerClient().client.close()
            return True
        gc.collect()
    return False


class _Handle(Protocol):
    """What is used of the Docker client's container."""

    @property
    def status(self) -> str: ...
    def start(self) -> None: ...
    def stop(self, *, timeout: int) -> None: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def unpause(self) -> None: ...
    def reload(self) -> None: ...


class Container:
    """A broker's image on ports of our choice, which stay the same from start to start.

    Args:
        image: With its tag.
        ports: The container's port to the one on this machine.
        folder: Of this machine, seen inside at `mounted_at`, read only.
        mounted_at: The place inside.
        environment: More variables for it.
        command: What to run instead of the image's own choice.
    """

    def __init__(
        self,
        image: str,
        *,
        ports: Mapping[int, int],
        folder: Path,
        mounted_at: str,
        environment: Mapping[str, str],
        command: Sequence[str] = (),
    ) -> None:
        self._container = DockerContainer(image).with_envs(**environment)
        for inside, outside in ports.items():
            self._container.with_bind_ports(inside, outside)
        self._container.with_volume_mapping(str(folder), mounted_at, "ro")
        if command:
            self._container.with_command(list(command))
        self._folder = folder
        self._created = False

    @property
    def host(self) -> str:
        """The machine that the ports are on."""
        return DockerClient().host()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        if not self._created:
            return False
        handle = self._handle()
        handle.reload()
        return handle.status in {"running", "paused"}

    def start(self) -> None:
        """Create it the first time, with a guard that removes it when this process is gone; later start it again."""
        if self._created:
            self._handle().start()
            return
        # Inside, the broker is another user.
        self._folder.chmod(ALL_READ)
        try:
            self._container.start()
        except Exception as error:
            raise BrokerFailed(
                f"{self._container.image}: {error}; set BROKERS={LOCAL_ONLY} to use programs of this machine instead"
            ) from error
        self._created = True

    def end(self, *, timeout: float) -> None:
        """Stop the container; its storage stays."""
        if self.running:
            self.resume()
            self._handle().stop(timeout=int(timeout))

    def kill(self) -> None:
        """SIGKILL its processes; its storage stays."""
        if self.running:
            self._handle().kill()

    def freeze(self) -> None:
        """Pause the container."""
        self._handle().pause()

    def resume(self) -> None:
        """Unpause the container; without effect when it is not paused."""
        handle = self._handle()
        handle.reload()
        if handle.status == "paused":
            handle.unpause()

    def logs(self) -> str:
        """Everything it wrote."""
        if not self._created:
            return ""
        return "".join(part.decode(errors="replace") for part in self._container.get_logs())

    def run(self, *command: str) -> str:
        """What the command prints inside."""
        done = self._container.exec(list(command))
        output = done.output.decode(errors="replace")
        if done.exit_code != 0:
            raise BrokerFailed(f"{' '.join(command)} failed: {output}")
        return output

    def discard(self) -> None:
        """Remove the container and its storage."""
        if self._created:
            self._container.stop()
            self._created = False

    def _handle(self) -> _Handle:
        handle: _Handle = self._container.get_wrapped_container()
        return handle
