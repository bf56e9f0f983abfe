"""Callers that change their minds."""

import asyncio
from random import Random

import pytest

from tests.faults.events import Work
from tests.faults.scene import Scene

pytestmark = pytest.mark.anyio


async def test_cancelled_sends_disturb_no_other(scene: Scene) -> None:
    bus = await scene.connect(scene.url, scene.registration(concurrency=50))

    async def change_ones_mind(number: int) -> bool:
        sending = asyncio.create_task(scene.try_sending(bus, Work(number=number)))
        await moment(scene.random)
        sending.cancel()
        await asyncio.wait([sending])
        return sending.cancelled()

    minds = asyncio.gather(*(change_ones_mind(n) for n in range(200)))
    await asyncio.gather(*(scene.try_sending(bus, Work(number=n)) for n in range(200, 400)))
    assert any(await minds)
    later = await asyncio.gather(*(scene.try_sending(bus, Work(number=n)) for n in range(400, 450)))
    account = await scene.settled()
    assert account.handled.keys() >= set(later)
    assert account.duplicates == 0


async def moment(random: Random) -> None:
    """A few turns of the event loop, or up to 20 ms."""
    if random.random() < 0.5:
        await asyncio.sleep(random.random() * 0.02)
    for _ in range(random.randrange(4)):
        await asyncio.sleep(0)
