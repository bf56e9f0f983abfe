"""Asynchronous tests run on the event loop that the fixture names."""

import asyncio

import pytest

pytestmark = pytest.mark.anyio


async def test_the_running_loop_is_the_one_asked_for(anyio_backend: tuple[str, dict[str, bool]]) -> None:
    is_uvloop = type(asyncio.get_running_loop()).__module__.startswith("uvloop")
    assert is_uvloop == anyio_backend[1]["use_uvloop"]
