"""The tasks of a bus: referenced while they run, and ended together."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Final

__all__ = ["Running", "Spawn", "Tasks"]

_log = logging.getLogger("events_core")
_GRACE: Final = 2.0
"""Seconds in which a cancelled task has to end."""


class Running:
    """A task of the bus."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    async def end(self) -> None:
        """Cancel it, and return when it has ended; called from itself, it goes on to its own end."""
        if self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait([self._task])


Spawn = Callable[[Coroutine[object, object, None], str], Running]
"""Runs a coroutine in a task of the bus, under a name for people."""


class Tasks:
    """Tasks that belong to no caller: `startup` and `shutdown` may be called from different ones."""

    __slots__ = ("_tasks", "failed")

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed: BaseException | None = None
        """What ended a task unexpectedly: the bus is not live any more."""

    def spawn(self, work: Coroutine[object, object, None], name: str) -> Running:
        """Run it until it ends or the bus does."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return Running(task)

    async def cancel(self) -> None:
        """Cancel all, and wait until they have ended; the calling task aside."""
        current = asyncio.current_task()
        while tasks := [task for task in self._tasks if task is not current]:
            for task in tasks:
                task.cancel()
            ended, _ = await asyncio.wait(tasks, timeout=_GRACE)
            if not ended:
                _log.error("tasks go on although they were cancelled: %s", ", ".join(t.get_name() for t in tasks))
                return

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed = error
            _log.error("a task of the bus ended: %s", task.get_name(), exc_info=error)
