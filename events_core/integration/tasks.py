"""The tasks of a bus: referenced while they run, and ended together."""

import asyncio
import logging
from collections.abc import Coroutine

__all__ = ["Tasks"]

_log = logging.getLogger("events_core")


class Tasks:
    """Tasks that belong to no caller: `startup` and `shutdown` may be called from different ones."""

    __slots__ = ("_tasks", "failed")

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed: BaseException | None = None
        """What ended a task unexpectedly: the bus is not live any more."""

    def spawn(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        """Run it until it ends or the bus does."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """Cancel all, and wait until they have ended; the calling task aside."""
        current = asyncio.current_task()
        while tasks := [task for task in self._tasks if task is not current]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed = error
            _log.error("a task of the bus ended: %s", task.get_name(), exc_info=error)
