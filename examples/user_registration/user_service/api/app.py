from dishka import AsyncContainer
from dishka.integrations.fastapi import setup_dishka
from fastapi import FastAPI

from examples.user_registration.user_service.api import health, problems, users


def new_app(container: AsyncContainer) -> FastAPI:
    """The API, with everything that it needs from this container, which the caller closes."""
    app = FastAPI(title="Users")
    app.include_router(users.router)
    app.include_router(health.router)
    problems.answer_problems(app)
    setup_dishka(container, app)
    return app
