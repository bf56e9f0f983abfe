"""Processes that never outlive the one that started them, even when that is killed."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from brokers.broker import BrokerFailed

# Its standard input is a pipe that only we hold: it ends when we do, however that happens. (A parent-death signal
# would follow the thread that started the process, and that may be a short-lived one.)
GUARD: Final = 'read -r _; kill -KILL "-$1"'
TOOL_TIMEOUT: Final = 120.0


class Process:
    """A program in a process group of its own, writing to `log`; `companions` start before it and end after it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        companions: Sequence["Process"] = (),
    ) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._companions = companions
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it in the folder of its log, with those of its companions that do not run."""
        if self.running:
            raise BrokerFailed(f"{self._command[0]} already runs: call stop() or kill() first")
        self.kill()
        for companion in self._companions:
            if not companion.running:
                companion.start()
        self._spawn()

    def end(self, *, timeout: float) -> None:
        """Ask it to end, kill what is left of its group after `timeout` seconds, and end its companions."""
        if self.running:
            self.resume()
            self._send(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._started().wait(timeout)
        self.kill()
        for companion in reversed(self._companions):
            companion.end(timeout=timeout)

    def kill(self) -> None:
        """SIGKILL its whole group; the companions stay."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._dismiss_guard()

    def freeze(self) -> None:
        """SIGSTOP the program, and return when all its threads stand."""
        self._send(signal.SIGSTOP)
        with suppress(ChildProcessError):  # it ended
            os.waitid(os.P_PID, self._started().pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT the program."""
        self._send(signal.SIGCONT)

    def logs(self) -> str:
        """Everything it wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def run(self, *command: str) -> str:
        """What the command prints in the same environment, within two minutes."""
        words = " ".join(command)
        try:
            done = subprocess.run(
                command,
                env=self._environment,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TOOL_TIMEOUT,
                check=True,
            )
        except subprocess.TimeoutExpired as error:
            raise BrokerFailed(f"{words} took longer than {TOOL_TIMEOUT:.0f} s") from error
        except subprocess.CalledProcessError as error:
            raise BrokerFailed(f"{words} failed: {error.stdout}{error.stderr}") from error
        return done.stdout

    def discard(self) -> None:
        """Kill it and its companions; everything else is in its folder."""
        self.kill()
        for companion in self._companions:
            companion.discard()

    def _spawn(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self._process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    def _send(self, number: signal.Signals) -> None:
        self._started().send_signal(number)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerFailed(f"{self._command[0]} does not run: call start() first")
        return self._process

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            # Killed before its pipe closes: the group's number may be somebody else's by now.
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
