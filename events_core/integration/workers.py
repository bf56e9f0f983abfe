"""Bounded concurrency: tasks that come with the work and go with it."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Generic, TypeVar

from events_core.clock import Clock
from events_core.integration.handling import Run
from events_core.integration.tasks import Spawn
from events_core.ports import Delivery

__all__ = ["Job", "Workers"]

Origin = TypeVar("Origin")

_log = logging.getLogger("events_core")
_GRACE: Final = 2.0
"""Seconds in which a cancelled handler has to end."""


class Job(Generic[Origin]):
    """A delivery that is to be handled, and where it came from."""

    __slots__ = ("delivery", "origin", "since")

    def __init__(self, delivery: Delivery, origin: Origin, since: float) -> None:
        self.delivery: Delivery = delivery
        self.origin: Origin = origin
        self.since: float = since
        """When it arrived, by the bus's monotonic clock."""


class Workers(Generic[Origin]):
    """At most `limit` jobs at a time, in order of arrival."""

    __slots__ = ("_active", "_clock", "_handle", "_idle", "_spawn", "limit", "running", "waiting")

    def __init__(
        self, limit: int, handle: Callable[[Job[Origin], Run], Awaitable[None]], *, clock: Clock, spawn: Spawn
    ) -> None:
        self.limit: int = limit
        self._handle = handle
        self._clock = clock
        self._spawn = spawn
        self._active = 0
        self._idle: list[asyncio.Future[None]] = []
        self.waiting: deque[Job[Origin]] = deque()
        self.running: dict[Run, Job[Origin]] = {}

    def submit(self, jobs: Iterable[Job[Origin]]) -> None:
        """Handle them as soon as there is a free slot."""
        self.waiting.extend(jobs)
        for _ in range(min(self.limit - self._active, len(self.waiting))):
            self._active += 1
            self._spawn(self._work(), "worker")

    def withdraw(self, unwanted: Callable[[Job[Origin]], bool]) -> list[Job[Origin]]:
        """Take out those that have not begun."""
        withdrawn = [job for job in self.waiting if unwanted(job)]
        self.waiting = deque(job for job in self.waiting if not unwanted(job))
        self._wake()
        return withdrawn

    def are_run_by(self, task: "asyncio.Task[object] | None") -> bool:
        """Whether this task handles one of the jobs."""
        return any(run.task is task for run in self.running)

    async def finish(self, seconds: float) -> None:
        """Return when nothing runs; what still runs after `seconds` is cancelled."""
        try:
            async with asyncio.timeout(seconds):
                await self.idle()
        except TimeoutError:
            await self._cancel()

    async def _cancel(self) -> None:
        for run in self.running:
            run.task.cancel()
        try:
            async with asyncio.timeout(_GRACE):
                await self.idle()
        except TimeoutError:
            names = ", ".join(run.delivery.wire.headers.get("type", "?") for run in self.running)
            _log.error("handlers go on although they were cancelled: %s", names)

    async def idle(self) -> None:
        """Return when nothing waits or runs; a thread that nobody waits for any more does not count."""
        if self.running or self.waiting:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle

    async def _work(self) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        try:
            while self.waiting and self._active <= self.limit:
                job = self.waiting.popleft()
                run = Run(job.delivery, task, self._clock.monotonic())
                self.running[run] = job
                try:
                    await self._handle(job, run)
                finally:
                    del self.running[run]
                    self._wake()
                if run.thread is not None:
                    await run.thread
        finally:
            self._active -= 1

    def _wake(self) -> None:
        if self.running or self.waiting:
            return
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)
        self._idle.clear()
