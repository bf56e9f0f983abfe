"""What happened, line by line, in a file that several processes append to."""

import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from tests.faults.waiting import until

__all__ = ["Entry", "Journal", "What"]

What: TypeAlias = Literal[
    "starting", "ready", "held", "stopped",  # a worker; `number` is its memory in bytes, or how many deliveries it holds
    "sending", "confirmed", "refused",  # a send; `detail` is the class of the error
    "begun", "handled", "failed", "cancelled",  # a handler
]  # fmt: skip


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line."""

    what: What
    at: float
    """Seconds of the monotonic clock, which all processes of a machine share."""
    process: int
    id: str = ""
    number: int = 0
    attempt: int = 0
    detail: str = ""


class Journal:
    """Appends entries, and reads those that were appended by anybody."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        """Those read so far, in the order of the file."""
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._read = 0
        self._rest = b""
        self._by_what: dict[What, list[Entry]] = defaultdict(list)
        self._decode = msgspec.json.Decoder(Entry).decode

    def write(self, what: What, id: str = "", *, number: int = 0, attempt: int = 0, detail: str = "") -> None:
        """Append a line. It is with the kernel when this returns, so killing the process does not lose it."""
        entry = Entry(what, time.monotonic(), os.getpid(), id, number, attempt, detail)
        os.write(self._file, msgspec.json.encode(entry) + b"\n")

    def read(self) -> None:
        """Take in the lines that were added."""
        while chunk := os.pread(self._file, 1 << 20, self._read):
            self._read += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                entry = self._decode(line)
                self.entries.append(entry)
                self._by_what[entry.what].append(entry)

    def of(self, *whats: What, process: int | None = None) -> list[Entry]:
        """The entries of these kinds, of one process or all."""
        self.read()
        found = [entry for what in whats for entry in self._by_what[what]]
        return found if process is None else [entry for entry in found if entry.process == process]

    def ids(self, what: What, process: int | None = None) -> set[str]:
        """The events that this happened to."""
        return {entry.id for entry in self.of(what, process=process)}

    async def until(self, condition: Callable[[], object], *, within: float, hope: str) -> None:
        """Return as soon as the condition holds; fail after so many seconds, saying what was hoped for."""
        await until(condition, within=within, hope=lambda: f"{hope}; {self.summary()}")

    async def count(self, what: What, number: int, *, within: float, process: int | None = None) -> None:
        """Return when this has happened to so many different events."""
        hope = f"{number} events {what}"
        await self.until(lambda: len(self.ids(what, process)) >= number, within=within, hope=hope)

    def summary(self) -> str:
        """How many events each thing happened to."""
        self.read()
        return ", ".join(f"{len({e.id for e in each})} {what}" for what, each in self._by_what.items())

    def close(self) -> None:
        os.close(self._file)
