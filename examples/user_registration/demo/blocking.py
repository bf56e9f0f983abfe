"""Brokers block until they have done what they were told; here they do so in a thread."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from brokers import Broker

AnyBroker = TypeVar("AnyBroker", bound=Broker)
T = TypeVar("T")


@asynccontextmanager
async def running(broker: AnyBroker) -> AsyncGenerator[AnyBroker]:
    """The broker, started; it is stopped at the end, whatever happened."""
    try:
        await done(broker.__enter__)
        yield broker
    finally:
        await done(lambda: broker.__exit__(None, None, None))


async def done(call: Callable[[], T]) -> T:
    """What it returns. Who is cancelled meanwhile waits for it all the same: half-started brokers are nobody's."""
    work = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
