"""How a unit of work ends: what comes after its transaction, and what no cancellation may cut short."""

import asyncio
import inspect
import logging
from collections.abc import Coroutine, Iterable
from typing import Final, TypeVar

from anyio import CancelScope

from events_core.errors import AfterCommitFailed, ConfigurationError
from events_core.ports import AfterCommit

__all__ = ["do_all", "do_all_async", "log_failed", "raise_failed", "refuse_async", "to_the_end"]

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


async def to_the_end(work: Coroutine[object, object, T]) -> T:
    """Do work in a task of its own: whoever is cancelled meanwhile waits for its end, and is cancelled then."""
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    # The scope keeps away what anyio cancels, the shield what asyncio does.
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                cancelled = error
            except Exception:  # noqa: BLE001, S110 the result below raises it
                pass
    if cancelled is None or task.cancelled():
        return task.result()
    if (failed := task.exception()) is not None:
        _log.error("it failed, and whoever would be told is cancelled", exc_info=failed)
    raise cancelled


def refuse_async(steps: Iterable[AfterCommit]) -> None:
    """Refuse what nobody would await, as long as the transaction can be rolled back."""
    for step in steps:
        if inspect.iscoroutinefunction(step):
            raise ConfigurationError(f"{step!r} is asynchronous: give it to an AsyncUnitOfWork")


def do_all(steps: Iterable[AfterCommit]) -> list[Exception]:
    """Do every step, whatever another raises; what was raised."""
    failed: list[Exception] = []
    for step in steps:
        try:
            if inspect.iscoroutine(done := step()):
                done.close()
                raise ConfigurationError(f"{step!r} is asynchronous: give it to an AsyncUnitOfWork")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 the transaction has ended: what failed after it is reported
            failed.append(error)
    return failed


async def do_all_async(steps: Iterable[AfterCommit]) -> list[Exception]:
    """The same, awaiting what is to be awaited."""
    failed: list[Exception] = []
    for step in steps:
        try:
            done = step()
            if inspect.isawaitable(done):
                await done
        except Exception as error:  # noqa: BLE001 the transaction has ended: what failed after it is reported
            failed.append(error)
    return failed


def raise_failed(errors: list[Exception]) -> None:
    """Tell of what came after the commit and failed."""
    if errors:
        raise AfterCommitFailed(errors) from errors[0]


def log_failed(errors: list[Exception]) -> None:
    """The same after a rollback, where an error of its own is on its way already."""
    for error in errors:
        _log.error("a hook after rollback failed", exc_info=error)
