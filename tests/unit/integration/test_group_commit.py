import asyncio
from collections.abc import Sequence

import pytest

from events_core.integration.group_commit import GroupCommit
from events_core.integration.tasks import Tasks

pytestmark = pytest.mark.anyio


async def test_while_as_many_writes_as_allowed_are_on_their_way_later_items_gather() -> None:
    batches: list[list[int]] = []
    begun: asyncio.Queue[None] = asyncio.Queue()
    answered = asyncio.Event()

    async def write(batch: Sequence[int]) -> Sequence[int]:
        batches.append(list(batch))
        begun.put_nowait(None)
        await answered.wait()
        return ()

    commit: GroupCommit[int] = GroupCommit(write, spawn=Tasks().spawn, overlap=2)
    for item in (1, 2):
        commit.add(item)
        await begun.get()
    for item in (3, 4, 5):
        commit.add(item)
    answered.set()
    await commit.drain()
    assert batches == [[1], [2], [3, 4, 5]]


async def test_what_has_to_be_written_again_comes_before_what_is_later() -> None:
    batches: list[list[int]] = []

    async def write(batch: Sequence[int]) -> Sequence[int]:
        batches.append(list(batch))
        return batch[1:]

    commit: GroupCommit[int] = GroupCommit(write, spawn=Tasks().spawn, limit=2, overlap=1)
    for item in (1, 2, 3):
        commit.add(item)
    await commit.drain()
    assert batches == [[1, 2], [2, 3], [3]]
