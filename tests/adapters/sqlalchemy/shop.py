"""A service that keeps orders in a database, and tells others of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from events_core import IntegrationEvent, Topic
from events_core.ports import Stored
from events_sqlalchemy import SqlAlchemyOutbox, SqlAlchemyOutboxStore, inbox_table, outbox_tables

__all__ = ["INBOX", "METADATA", "ORDERS", "TABLES", "Database", "Order", "OrderPlaced", "outbox_of", "texts"]

METADATA = MetaData()
TABLES = outbox_tables(METADATA)
INBOX = inbox_table(METADATA)
ORDERS = Topic("orders")


class Model(DeclarativeBase):
    metadata = METADATA


class Order(Model):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class OrderPlaced(IntegrationEvent):
    type = "shop.order_placed"
    version = 1
    text: str


@dataclass
class Database:
    """One database, reached by an asynchronous driver, and by a synchronous one of its kind."""

    url: str
    driver: str
    engines: list[AsyncEngine] = field(default_factory=list[AsyncEngine])

    @cached_property
    def engine(self) -> AsyncEngine:
        return self.new_engine()

    @cached_property
    def sync_engine(self) -> Engine:
        scheme, rest = self.url.split("://")
        return create_engine(f"{scheme}://{rest}" if scheme == "sqlite" else f"{scheme}+psycopg://{rest}")

    @property
    def sessions(self) -> "async_sessionmaker[AsyncSession]":
        return async_sessionmaker(self.engine)

    @property
    def sync_sessions(self) -> "sessionmaker[Session]":
        return sessionmaker(self.sync_engine)

    @property
    def store(self) -> SqlAlchemyOutboxStore:
        return SqlAlchemyOutboxStore(self.engine, TABLES)

    def new_engine(self, **options: object) -> AsyncEngine:
        """As another process would have one."""
        scheme, rest = self.url.split("://")
        engine = create_async_engine(f"{scheme}+{self.driver}://{rest}", **options)
        self.engines.append(engine)
        return engine

    async def put(self, *texts: str, key: str | None = None) -> list[str]:
        """Put an event each, in one transaction."""
        async with self.sessions.begin() as session:
            outbox = outbox_of(session)
            return [outbox.put(ORDERS, OrderPlaced(text), key=key) for text in texts]

    async def waiting(self, now: float = 2e9) -> list[str]:
        """What a relay would send now."""
        async with self.store.claim(10_000, now=now, lease=60) as claim:
            return texts(claim.events)

    async def close(self) -> None:
        for engine in self.engines:
            await engine.dispose()
        if "sync_engine" in self.__dict__:
            self.sync_engine.dispose()


def outbox_of(session: Session | AsyncSession) -> SqlAlchemyOutbox:
    return SqlAlchemyOutbox(session, TABLES, source="shop")


def texts(events: Iterable[Stored]) -> list[str]:
    """What the events say; "?" where one cannot be read."""
    return ["?" if each.envelope is None else json.loads(each.envelope.body)["text"] for each in events]
