import asyncio
import time
from typing import Final, Literal

from dishka.integrations.fastapi import DishkaRoute, FromDishka
from fastapi import APIRouter, Response
from pydantic import BaseModel

from events_core.errors import StoreUnavailable
from events_core.ports import Backlog, OutboxStore

PATIENCE: Final = 5.0
"""Seconds that the database may take."""

router = APIRouter(tags=["health"], route_class=DishkaRoute)


class Outbox(BaseModel):
    waiting: int
    parked: int
    oldest_waits: float
    """Seconds; 0 when nothing waits."""


class Health(BaseModel):
    """The broker is not asked: registering works without it."""

    database: Literal["up", "down"]
    outbox: Outbox | None


@router.get("/health", responses={503: {"model": Health}})
async def health(store: FromDishka[OutboxStore], response: Response) -> Health:
    """Whether people can register, and what has not been told yet."""
    now = time.time()
    try:
        async with asyncio.timeout(PATIENCE):
            backlog = await store.backlog(now)
    except (StoreUnavailable, TimeoutError):
        response.status_code = 503
        return Health(database="down", outbox=None)
    return Health(database="up", outbox=_shown(backlog, now))


def _shown(backlog: Backlog, now: float) -> Outbox:
    waits = 0.0 if backlog.oldest is None else round(max(0.0, now - backlog.oldest), 1)
    return Outbox(waiting=backlog.waiting, parked=backlog.parked, oldest_waits=waits)
