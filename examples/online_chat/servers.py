"""The servers of the demonstration, as processes of their own."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).parents[2]


class ServerEnded(Exception):
    """A server ended by itself, or not as it should; what it said is on standard error."""


class Servers:
    """Servers that share one bus; none of them outlives the block."""

    def __init__(self, bus_url: str) -> None:
        self._bus_url = bus_url
        self._processes: list[Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def start(self, port: int = 0) -> str:
        """Start one, and return its URL as soon as people may come."""
        arguments = ["-m", "examples.online_chat.server", "--bus", self._bus_url, "--port", str(port)]
        # In a session of its own: Ctrl-C reaches who started it, who then stops it in good order.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=ROOT, stdout=PIPE, start_new_session=True
        )
        self._processes.append(process)
        assert process.stdout is not None  # noqa: S101 it was asked for above
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise ServerEnded(f"a server ended with {await process.wait()} before it was ready")
        return url

    async def wait(self) -> None:
        """Return when one has ended, which none does by itself."""
        waiting = [asyncio.create_task(process.wait()) for process in self._processes]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def stop(self) -> None:
        """SIGTERM: they say goodbye to everybody, and end."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.terminate()
        codes = [await process.wait() for process in self._processes]
        if any(codes):
            raise ServerEnded(f"the servers ended with {codes} when they were asked to stop")
