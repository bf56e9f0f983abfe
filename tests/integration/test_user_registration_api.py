"""The user service over HTTP, on real databases."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

import brokers
from events_core import Context, EventHandlerConsumer, Registration
from events_core.outbox import OutboxRelay, open_store
from events_core.testing import TestBus
from examples.user_registration.contract import USERS, UserRegistered
from examples.user_registration.databases import create_tables
from examples.user_registration.user_service.api import new_app
from examples.user_registration.user_service.database import METADATA
from examples.user_registration.user_service.wiring import Places, new_container

pytestmark = pytest.mark.anyio

ADA = {"name": "Ada", "email": "ada@example.org"}
NOWHERE = "postgresql://127.0.0.1:1/nowhere"


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.broker("postgresql"))],
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'users.db'}"
    server: brokers.PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database(f"users_{uuid4().hex}")


async def new_client(database: str, *, tables: bool = True) -> AsyncGenerator[httpx.AsyncClient]:
    container = new_container(Places(database=database))
    try:
        if tables:
            await create_tables(await container.get(AsyncEngine), METADATA)
        transport = httpx.ASGITransport(new_app(container))
        async with httpx.AsyncClient(transport=transport, base_url="http://users") as client:
            yield client
    finally:
        await container.close()


@pytest.fixture
async def client(database: str) -> AsyncGenerator[httpx.AsyncClient]:
    async for client in new_client(database):
        yield client


@pytest.fixture
async def without_database() -> AsyncGenerator[httpx.AsyncClient]:
    async for client in new_client(NOWHERE, tables=False):
        yield client


async def waiting(client: httpx.AsyncClient) -> int:
    """How many events are in the outbox."""
    answer = await client.get("/health")
    assert answer.status_code == 200, answer.text
    count: int = answer.json()["outbox"]["waiting"]
    return count


async def test_a_new_user_gets_an_id_and_a_place(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users", json=ADA)
    assert answer.status_code == 201
    user_id = UUID(answer.json()["id"])
    assert answer.headers["location"] == f"/users/{user_id}"
    found = await client.get(answer.headers["location"])
    assert (found.status_code, found.json()) == (200, {"id": str(user_id), **ADA})


async def test_the_same_address_twice_is_a_conflict_and_no_second_event(client: httpx.AsyncClient) -> None:
    assert (await client.post("/users", json=ADA)).status_code == 201
    again = await client.post("/users", json={"name": "Impostor", "email": "ADA@Example.ORG"})
    assert (again.status_code, again.json()) == (409, {"detail": "ADA@Example.ORG is registered already"})
    assert await waiting(client) == 1


async def test_of_many_at_the_same_moment_with_one_address_one_is_registered(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/users", json=ADA) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert await waiting(client) == 1


async def test_what_was_put_into_the_outbox_is_what_the_contract_says(client: httpx.AsyncClient, database: str) -> None:
    heard: list[tuple[UserRegistered, str | None, str]] = []

    async def hear(event: UserRegistered, context: Context) -> None:
        heard.append((event, context.key, context.source))

    user_id = UUID((await client.post("/users", json=ADA)).json()["id"])
    everybody = Registration(EventHandlerConsumer("everybody", {UserRegistered: [hear]}), USERS)
    async with TestBus(everybody) as bus, open_store(database) as store:
        assert await OutboxRelay(store, bus).relay_due() == 1
        await bus.idle()
    event = UserRegistered(user_id=user_id, name="Ada", email="ada@example.org")
    assert heard == [(event, str(user_id), "user-service")]
    assert await waiting(client) == 0


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"name": "Ada"}',
        '{"email": "ada@example.org"}',
        '{"name": "Ada", "email": "ada"}',
        '{"name": "Ada", "email": "ada@example.org\\n"}',
        '{"name": "Ada", "email": null}',
        '{"name": " ", "email": "ada@example.org"}',
        '{"name": "Ada\\r\\nBcc: all@example.org", "email": "ada@example.org"}',
        '{"name": "\\u0000", "email": "ada@example.org"}',
        '{"name": "\\ud800", "email": "ada@example.org"}',
        '{"name": "' + "x" * 101 + '", "email": "ada@example.org"}',
    ],
)
async def test_invalid_input_is_refused_and_changes_nothing(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.post("/users", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["msg"]
    assert await waiting(client) == 0


@pytest.mark.parametrize("name", ["A", "\u0410\u0434\u0430", "Ada \N{GRINNING FACE}", "\u0646\u06cc\u200c\u0645\u0627"])
async def test_names_come_in_all_languages(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("/users", json={"name": f" {name} ", "email": "ada@example.org"})
    assert answer.status_code == 201, answer.text
    assert (await client.get(answer.headers["location"])).json()["name"] == name


@pytest.mark.parametrize(("user_id", "status"), [("0d6f6b0e-2d6c-4d5c-9f5e-1b7f0f3c9a11", 404), ("ada", 422)])
async def test_nobody_has_another_id(client: httpx.AsyncClient, user_id: str, status: int) -> None:
    assert (await client.get(f"/users/{user_id}")).status_code == status


async def test_health_shows_the_database_and_what_waits(client: httpx.AsyncClient) -> None:
    empty: dict[str, Any] = {"waiting": 0, "parked": 0, "oldest_waits": 0.0}
    assert (await client.get("/health")).json() == {"database": "up", "outbox": empty}
    await client.post("/users", json=ADA)
    assert await waiting(client) == 1


async def test_without_its_database_the_service_says_so(without_database: httpx.AsyncClient) -> None:
    health = await without_database.get("/health")
    assert (health.status_code, health.json()) == (503, {"database": "down", "outbox": None})
    answer = await without_database.post("/users", json=ADA)
    assert (answer.status_code, answer.json()) == (503, {"detail": "the database is away; try again"})


@pytest.mark.broker("postgresql")
async def test_when_the_database_comes_back_people_can_register_again(fresh_postgresql: brokers.PostgreSQL) -> None:
    async for client in new_client(fresh_postgresql.url):
        assert (await client.post("/users", json=ADA)).status_code == 201
        fresh_postgresql.kill()
        for _time in range(2):
            assert (await client.post("/users", json=ADA)).status_code == 503
        assert (await client.get("/health")).json()["database"] == "down"
        fresh_postgresql.start()
        assert (await client.post("/users", json=ADA)).status_code == 409
        assert (await client.post("/users", json={**ADA, "email": "bea@example.org"})).status_code == 201
        assert await waiting(client) == 2
