"""A server of the chat as a process, for its tests."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import httpx

import brokers

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 20.0  # seconds
LOOK_AGAIN: Final = 0.02  # seconds


class ChatServer:
    """`python -m examples.online_chat.server`, on a free port unless one is given; killed when the block ends."""

    def __init__(self, bus: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "examples.online_chat.server", "--bus", bus, "--port", str(port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url: str = self._process.stdout.readline().strip()
        assert self.url, "the server ended before it was ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def health(self) -> dict[str, Any]:
        """What `/health` says, also when it says that the server is not ready."""
        body: dict[str, Any] = httpx.get(f"{self.url}/health", timeout=PATIENCE).json()
        return body

    def open_files(self) -> int:
        """Sockets included."""
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self._process.terminate()
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def pubsub(redis: brokers.Redis) -> str:
    """The URL of this Redis for topics that are stored nowhere."""
    return redis.url.replace("redis://", "redis+pubsub://", 1)


def until(question: Callable[[], bool]) -> None:
    """Ask another process until the answer is yes."""
    deadline = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(LOOK_AGAIN)


async def eventually(question: Callable[[], bool]) -> None:
    """The same, while the tasks of this process go on."""
    await asyncio.to_thread(until, question)
