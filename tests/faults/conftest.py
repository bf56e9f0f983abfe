import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from brokers import Broker
from tests.broker_fixtures import is_required, started
from tests.faults.platforms import PLATFORMS, Platform
from tests.faults.scene import Scene


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """A fault is a matter of processes and connections: one event loop is enough."""
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(
    scope="session",
    params=[pytest.param(each, id=each.name, marks=pytest.mark.broker(each.name)) for each in PLATFORMS],
)
def platform(request: pytest.FixtureRequest) -> Platform:
    chosen: Platform = request.param
    return chosen


@pytest.fixture(scope="session")
def rough(
    platform: Platform, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker | None]:
    """The broker that fault tests hurt, and leave in good health."""
    if platform.broker is None:
        yield None
        return
    with ExitStack() as running:
        yield started(platform.broker(tmp_path_factory.mktemp(platform.name)), running, required=is_required(request))


@pytest.fixture
async def scene(
    platform: Platform, rough: Broker | None, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Scene]:
    seed = int(os.environ.get("FAULTS_SEED", "1"))
    scene = Scene(platform, rough, tmp_path, seed, request.node.name)
    await scene.open()
    try:
        yield scene
    finally:
        await scene.close()
