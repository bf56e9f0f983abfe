import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["until"]

_LOOK: Final = 0.02
"""Seconds between two looks: what is waited for happens in other processes, and nobody tells."""
_SELDOM: Final = 20
"""What takes long is looked at as seldom as a part of the time that it has taken: looking takes time from it."""


async def until(
    condition: Callable[[], object | Awaitable[object]], *, within: float = math.inf, hope: Callable[[], str] = str
) -> None:
    """Return as soon as the condition holds; fail after so many seconds, saying what was hoped for."""
    began = time.monotonic()
    while not await _value(condition):
        waited = time.monotonic() - began
        if waited > within:
            raise AssertionError(f"not within {within:g} s: {hope()}")
        await asyncio.sleep(max(_LOOK, waited / _SELDOM))


async def _value(condition: Callable[[], object | Awaitable[object]]) -> object:
    value = condition()
    return await value if inspect.isawaitable(value) else value
