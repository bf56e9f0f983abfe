"""Who gets what: one engine and one message bus a process, one session and one unit of work a request."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from dishka import AsyncContainer, Provider, Scope, make_async_container
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from events_core.ports import OutboxStore
from events_sqlalchemy import SqlAlchemyOutboxStore
from examples.user_registration.databases import open_engine
from examples.user_registration.user_service.application.handlers import new_message_bus
from examples.user_registration.user_service.database import OUTBOX, UserServiceUnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What the service talks to."""

    database: str


def new_container(places: Places) -> AsyncContainer:
    """The service, talking to these."""
    service = Provider(scope=Scope.APP)
    service.from_context(Places)
    for source in (_engine, _store, new_message_bus):
        service.provide(source)
    service.provide(_unit_of_work, scope=Scope.REQUEST)
    return make_async_container(service, context={Places: places})


async def _engine(places: Places) -> AsyncGenerator[AsyncEngine]:
    async with open_engine(places.database) as engine:
        yield engine


def _store(engine: AsyncEngine) -> OutboxStore:
    return SqlAlchemyOutboxStore(engine, OUTBOX)


def _unit_of_work(engine: AsyncEngine) -> UserServiceUnitOfWork:
    return UserServiceUnitOfWork(AsyncSession(engine))
