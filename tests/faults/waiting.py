import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["until"]

_LOOK: Final = 0.02
"""Seconds between two looks: what is waited for happens in other processes, and nobody tells."""


async def until(
    condition: Callable[[], object | Awaitable[object]], *, within: float = math.inf, hope: Callable[[], str] = str
) -> None:
    """Return as soon as the condition holds; fail after so many seconds, saying what was hoped for."""
    deadline = time.monotonic() + within
    while not await _value(condition):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {hope()}")
        await asyncio.sleep(_LOOK)


async def _value(condition: Callable[[], object | Awaitable[object]]) -> object:
    value = condition()
    return await value if inspect.isawaitable(value) else value
