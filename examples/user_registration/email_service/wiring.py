"""Who gets what: one of each a process."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from dishka import AsyncContainer, Provider, Scope, make_async_container
from sqlalchemy.ext.asyncio import AsyncEngine

from events_core import IntegrationEventBus, Registration, open_bus
from events_core.outbox import InboxRetention
from events_sqlalchemy import SqlAlchemyInboxStore
from examples.user_registration.databases import open_engine
from examples.user_registration.email_service.consumer import new_registration
from examples.user_registration.email_service.mailer import Mailer, SmtpMailer
from examples.user_registration.email_service.once import INBOX, once_each

SERVICE: Final = "email-service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What the service talks to."""

    database: str
    bus: str
    smtp_host: str
    smtp_port: int


def new_container(places: Places) -> AsyncContainer:
    """The service, talking to these."""
    service = Provider(scope=Scope.APP)
    service.from_context(Places)
    for source in (_engine, _retention, _mailer, _registration, _bus):
        service.provide(source)
    return make_async_container(service, context={Places: places})


async def _engine(places: Places) -> AsyncGenerator[AsyncEngine]:
    async with open_engine(places.database) as engine:
        yield engine


def _retention(engine: AsyncEngine) -> InboxRetention:
    return InboxRetention(SqlAlchemyInboxStore(engine, INBOX))


def _mailer(places: Places) -> Mailer:
    return SmtpMailer(places.smtp_host, places.smtp_port)


def _registration(mailer: Mailer, engine: AsyncEngine) -> Registration:
    return new_registration(mailer, once_each(engine))


def _bus(places: Places, registration: Registration) -> IntegrationEventBus:
    return open_bus(places.bus, source=SERVICE, registrations=[registration])
