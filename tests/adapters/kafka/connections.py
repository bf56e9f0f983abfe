"""Transports, and what the client library has open."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aiokafka.conn import AIOKafkaConnection  # type: ignore[import-untyped]

from events_core.ports import Alert, Revoked, Transport

Notify = Callable[[Revoked | Alert], None]


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


@asynccontextmanager
async def opened(transport: Transport, notify: Notify = ignore) -> AsyncGenerator[Transport]:
    await transport.open(notify)
    try:
        yield transport
    finally:
        await transport.close()


def open_connections() -> list[object]:
    """Whatever the library has open, and whatever of it still runs."""
    gc.collect()
    ends = {each: getattr(each, "_closed_fut", None) for each in gc.get_objects() if type(each) is AIOKafkaConnection}
    running = [each for each in asyncio.all_tasks() if "/aiokafka/" in repr(each)]
    return [*(each for each, end in ends.items() if end is not None and not end.done()), *running]
