"""Every service as a process of its own."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

LAST_WORDS: Final = 10  # lines
PATIENCE: Final = 60.0
"""Seconds in which a service has to be ready, and to end when it is asked to."""


class ServiceEnded(Exception):
    """A service ended by itself, or not as it should, or never got ready; with its last words."""


class Services:
    """Processes by the name of their service; none of them outlives the block. `folder` is for what they log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, Process] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def start(self, name: str, module: str, *arguments: str, speaks: bool = True) -> None:
        """Start one; `speaks` says whether it prints a line when it is ready."""
        with (self._folder / f"{name}.log").open("ab") as log:
            # In a session of its own: Ctrl-C reaches who started it, who then stops it in good order.
            self._processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *arguments),
                stdout=PIPE if speaks else DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self, name: str) -> str:
        """Return what it prints as soon as it is ready."""
        process = self._processes[name]
        assert process.stdout is not None  # noqa: S101 it was asked for above
        try:
            async with asyncio.timeout(PATIENCE):
                said = (await process.stdout.readline()).decode().strip()
        except TimeoutError:
            raise ServiceEnded(f"{name} was not ready after {PATIENCE:.0f} s\n{self._last_words(name)}") from None
        if not said:
            await process.wait()
            raise self._ended(name, "before it was ready")
        return said

    def pid(self, name: str) -> int:
        """Of its process."""
        return self._processes[name].pid

    def check(self) -> None:
        """`ServiceEnded` unless all of them are well."""
        for name, process in self._processes.items():
            if process.returncode is not None:
                raise self._ended(name, "and nobody asked it to")

    async def stop(self, name: str) -> None:
        """SIGTERM: it finishes what it has begun, and ends."""
        process = self._processes.pop(name)
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
        if code:
            raise ServiceEnded(f"{name} ended with {code} when it was asked to stop\n{self._last_words(name)}")

    def _ended(self, name: str, how: str) -> ServiceEnded:
        code = self._processes[name].returncode
        return ServiceEnded(f"{name} ended with {code}, {how}\n{self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        return "\n".join((self._folder / f"{name}.log").read_text(errors="replace").splitlines()[-LAST_WORDS:])
