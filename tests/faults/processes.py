import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from tests.faults.waiting import until

__all__ = ["Worker"]

ROOT: Final = Path(__file__).parents[2]


class Worker:
    """A process that follows an order, seen from the test."""

    def __init__(self, order: msgspec.Struct, log: Path, *, program: str = "tests.faults.worker") -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", program, msgspec.json.encode(order).decode()],
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its number, which is that of its entries in the journal."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self._process.poll() not in {None, 0}

    @property
    def peak_memory(self) -> int:
        """The most bytes it has ever had in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM: it drains."""
        self._process.send_signal(signal.SIGTERM)

    async def ended(self, within: float) -> int:
        """Its exit code."""
        await until(lambda: not self.running, within=within, hope=lambda: f"process {self.pid} ends")
        return self._process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
