"""Brokers from Debian's packages, without the services that the packages would start."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from brokers import rabbitmq
from brokers.broker import BrokerUnavailable
from brokers.containers import engine_answers

# Debian asks this program before it starts a service; 101 forbids it.
SERVICE_POLICY: Final = Path("/usr/sbin/policy-rc.d")
FORBIDDEN: Final = "#!/bin/sh\nexit 101\n"
LOCK_TIMEOUT: Final = "DPkg::Lock::Timeout=300"


def install(name: str) -> str:
    """Make the named broker available, and say how it is.

    Raises:
        BrokerUnavailable: It has to be done by hand; the message says how.
    """
    package, installed = PACKAGES[name]
    if installed():
        return f"{name}: installed"
    apt_get = shutil.which("apt-get")
    if apt_get and os.geteuid() == 0:
        _install(apt_get, package)
        return f"{name}: installed from Debian's package {package}"
    if engine_answers():
        return f"{name}: will run in a container"
    raise BrokerUnavailable(
        f"{name} is not installed: run `apt-get install {package}` (or `make brokers`) as root, or start a Docker engine"
    )


PACKAGES: Final = {"rabbitmq": ("rabbitmq-server", rabbitmq.installed)}


def _install(apt_get: str, package: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            done = subprocess.run(
                [apt_get, "-o", LOCK_TIMEOUT, *command],
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
