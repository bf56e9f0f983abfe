"""Handlers that say themselves what they want from the container."""

from dishka import FromDishka

from events_core.domain import listen
from events_dishka import inject
from tests.adapters.dishka.shop import Register, Session, Unit


@listen
@inject
async def register(command: Register, uow: Unit, session: FromDishka[Session]) -> int:
    session.written.append(f"{command.name}, marked")
    assert uow.session is session
    return session.number
