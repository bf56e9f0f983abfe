from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dishka import AsyncContainer
from dishka.integrations.fastapi import setup_dishka
from fastapi import FastAPI

from examples.user_registration.user_service.api import health, problems, users


def new_app(container: AsyncContainer) -> FastAPI:
    """The API, with everything that it needs from this container, which is closed with it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        await container.close()

    app = FastAPI(title="Users", lifespan=lifespan)
    app.include_router(users.router)
    app.include_router(health.router)
    problems.answer_problems(app)
    setup_dishka(container, app)
    return app
