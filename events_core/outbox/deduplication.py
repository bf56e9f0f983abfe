"""An inbox around handlers."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self

from events_core.clock import Clock, SystemClock
from events_core.errors import AlreadyHandled, EventsError, RolledBack
from events_core.integration import Call, Context
from events_core.integration.backoff import Backoff
from events_core.messages import IntegrationEvent
from events_core.ports import Inbox, check_seconds

__all__ = ["Deduplication", "InboxRetention"]

_AT_ONCE: Final = 5_000


class Deduplication:
    """A middleware that runs the handlers of an event once, in one transaction with the note that they ran.

    `unit` begins that transaction: it is entered anew for each event, gives an inbox in it, and commits when it is left,
    or rolls back when it is left with an error. If one handler of the event fails, all are rolled back and run again.
    """

    def __init__(self, unit: Callable[[Context], AbstractAsyncContextManager[Inbox]]) -> None:
        self._unit = unit

    async def __call__(self, event: IntegrationEvent, context: Context, call: Call) -> None:
        """Handle one event, unless it was handled."""
        try:
            async with self._unit(context) as inbox, inbox.once(replace(context, handler="")):
                await call()
        except AlreadyHandled:
            raise
        except Exception as error:
            raise RolledBack(error) from error


class _Purgeable(Protocol):
    async def purge(self, before: float, limit: int) -> int: ...


class InboxRetention:
    """Forgets, in the background, what was handled more than `keep` seconds ago; thirty days by default.

    Keep longer than any broker may hold an event back: its retention, the longest retry, and the longest downtime.
    It begins an hour after it was started, so that what a consumer had in hand when it went down is still known.
    """

    def __init__(
        self, store: _Purgeable, *, keep: float = 30 * 86_400.0, every: float = 3_600.0, clock: Clock | None = None
    ) -> None:
        check_seconds(keep=keep, every=every)
        self._store = store
        self._keep = keep
        self._every = every
        self._clock = clock or SystemClock()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._work(), name="inbox retention")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        backoff = Backoff(self._clock)
        while True:
            await self._clock.sleep(self._every)
            deleted = _AT_ONCE
            while deleted == _AT_ONCE:
                try:
                    deleted = await self._store.purge(self._clock.time() - self._keep, _AT_ONCE)
                    backoff.reset()
                except EventsError:
                    await backoff.wait()
