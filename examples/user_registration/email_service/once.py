"""What was mailed, so that an event which comes again is not mailed again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from events_core import Context
from events_core.outbox import Deduplication
from events_core.ports import Inbox
from events_sqlalchemy import SqlAlchemyInbox, inbox_table

METADATA: Final = MetaData()
INBOX: Final = inbox_table(METADATA)


def once_each(engine: AsyncEngine) -> Deduplication:
    """Each event is handled in a transaction, together with the note that it was."""

    @asynccontextmanager
    async def transaction(_context: Context) -> AsyncGenerator[Inbox]:
        async with AsyncSession(engine) as session, session.begin():
            yield SqlAlchemyInbox(session, INBOX)

    return Deduplication(transaction)
