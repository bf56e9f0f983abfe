"""Brokers, and the browser that tests drive, from Debian's packages (and Kafka from Maven Central).

Without the services that the packages would start.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brokers import kafka_jars, postgresql, rabbitmq, redis
from brokers.broker import BrokerUnavailable
from brokers.containers import engine_answers

# Debian asks this program before it starts a service; 101 forbids it.
SERVICE_POLICY: Final = Path("/usr/sbin/policy-rc.d")
FORBIDDEN: Final = "#!/bin/sh\nexit 101\n"
LOCK_TIMEOUT: Final = "DPkg::Lock::Timeout=300"
RETRIES: Final = "Acquire::Retries=3"


def install(name: str) -> str:
    """Make the named broker (or `chromium`) available, and say how it is.

    Raises:
        BrokerUnavailable: It has to be done by hand; the message says how.
    """
    software = SOFTWARE[name]
    if software.installed():
        return f"{name}: installed"
    try:
        return f"{name}: installed from {software.obtain()}"
    except BrokerUnavailable:
        if software.in_containers and engine_answers():
            return f"{name}: will run in a container"
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What a broker, or the browser, needs on this machine.

    Args:
        packages: Debian's.
        installed: Whether everything is here.
        programs: What the packages bring; asked for on PATH. Empty: `installed` says it.
        fetch: Gets the rest, which Debian does not have.
        in_containers: Where it is not installed, a Docker engine can run it.
    """

    packages: tuple[str, ...]
    installed: Callable[[], bool]
    programs: tuple[str, ...] = ()
    fetch: Callable[[], str] | None = None
    in_containers: bool = True

    def obtain(self) -> str:
        """Install what is missing, and say where it came from."""
        words = " ".join(self.packages)
        if not self.programs or not all(shutil.which(program) for program in self.programs):
            _install(words, self.packages)
        return self.fetch() if self.fetch else f"Debian's package {words}"


CHROMIUM: Final = "chromium"


def chromium_is_installed() -> bool:
    return shutil.which(CHROMIUM) is not None


SOFTWARE: Final = {
    CHROMIUM: Software(packages=(CHROMIUM,), installed=chromium_is_installed, in_containers=False),
    "kafka": Software(
        packages=("maven", "default-jre-headless"),
        installed=kafka_jars.installed,
        programs=("mvn", "java"),
        fetch=kafka_jars.fetch,
    ),
    "postgresql": Software(packages=("postgresql", "pgbouncer"), installed=postgresql.installed),
    "rabbitmq": Software(packages=("rabbitmq-server",), installed=rabbitmq.installed),
    "redis": Software(packages=("redis-server",), installed=redis.installed),
}


def _install(words: str, packages: Iterable[str]) -> None:
    apt_get = shutil.which("apt-get")
    if apt_get is None or os.geteuid() != 0:
        raise BrokerUnavailable(
            f"{words} is missing: run `apt-get install {words}` (or `make brokers`) as root; brokers also run in Docker"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(
                [apt_get, "-o", LOCK_TIMEOUT, "-o", RETRIES, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                words = " ".join(command)
                raise BrokerUnavailable(f"`apt-get {words}` failed, please repair it:\n{done.stdout}{done.stderr}")


@contextmanager
def _no_services() -> Generator[None]:
    """Nothing that is installed meanwhile starts by itself; a policy that is there already stays as it is."""
    before = (SERVICE_POLICY.read_bytes(), SERVICE_POLICY.stat().st_mode) if SERVICE_POLICY.exists() else None
    SERVICE_POLICY.write_text(FORBIDDEN)
    SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            SERVICE_POLICY.unlink(missing_ok=True)
        else:
            content, mode = before
            SERVICE_POLICY.write_bytes(content)
            SERVICE_POLICY.chmod(mode)
