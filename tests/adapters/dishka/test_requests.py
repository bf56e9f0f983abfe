"""A web request and the handlers of its messages share one scope."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from dishka import AsyncContainer, FromDishka
from dishka.integrations.fastapi import inject, setup_dishka
from fastapi import FastAPI

from events_core.domain import Status
from events_core.errors import ConfigurationError
from events_dishka import RequestBus, current_container
from tests.adapters.dishka.shop import Register, Session, Sessions, Unit

pytestmark = pytest.mark.anyio


@pytest.fixture
async def web(container: AsyncContainer) -> AsyncGenerator[httpx.AsyncClient]:
    app = FastAPI()

    @app.post("/users/{name}")
    @inject
    async def register(name: str, bus: FromDishka[RequestBus], session: FromDishka[Session]) -> dict[str, int]:
        written_into = (await bus.handle(Register(name=name))).first
        assert session.closed == 0
        return {"endpoint": session.number, "handler": written_into}

    setup_dishka(container, app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        yield client


async def test_an_endpoint_and_a_handler_have_the_same_session(web: httpx.AsyncClient, sessions: Sessions) -> None:
    assert (await web.post("/users/Ada")).json() == {"endpoint": 0, "handler": 0}
    assert (await web.post("/users/Bob")).json() == {"endpoint": 1, "handler": 1}
    assert [(each.written, each.closed) for each in sessions] == [(["Ada"], 1), (["Bob"], 1)]


async def test_messages_are_handled_in_the_unit_of_work_of_the_request(container: AsyncContainer) -> None:
    async with container() as request:
        bus = await request.get(RequestBus)
        await bus.handle(Register(name="Ada"))
        unit = await request.get(Unit)
    assert (unit.status, unit.commits) == (Status.COMMITTED, 1)


async def test_a_unit_of_work_that_the_call_gives_comes_first(container: AsyncContainer) -> None:
    async with container() as request:
        bus = await request.get(RequestBus)
        given = Unit(await request.get(Session))
        await bus.handle(Register(name="Ada"), given)
        assert (given.commits, (await request.get(Unit)).commits) == (1, 0)


async def test_outside_of_a_request_there_is_no_container(container: AsyncContainer) -> None:
    async with container() as request:
        await (await request.get(RequestBus)).handle(Register(name="Ada"))
        with pytest.raises(ConfigurationError, match="RequestBus"):
            current_container()
