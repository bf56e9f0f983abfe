"""What the client library has open."""

import asyncio
import gc

from aiokafka.conn import AIOKafkaConnection  # type: ignore[import-untyped]


def open_connections() -> list[object]:
    """Whatever the library has open, and whatever of it still runs."""
    gc.collect()
    ends = {each: getattr(each, "_closed_fut", None) for each in gc.get_objects() if type(each) is AIOKafkaConnection}
    running = [each for each in asyncio.all_tasks() if "aiokafka" in str(each.get_coro())]
    return [*(each for each, end in ends.items() if end is not None and not end.done()), *running]
