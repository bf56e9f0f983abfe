from collections.abc import AsyncGenerator

import pytest
from dishka import AsyncContainer, make_async_container

from tests.adapters.dishka.shop import Sessions, make_shop


@pytest.fixture
def sessions() -> Sessions:
    """What is opened and closed in the test."""
    return Sessions()


@pytest.fixture
async def container(sessions: Sessions) -> AsyncGenerator[AsyncContainer]:
    """The container of an application."""
    container = make_async_container(make_shop(sessions))
    yield container
    await container.close()
