"""The books, closed: whether each registration became one event and one mail."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from examples.user_registration.databases import open_engine
from examples.user_registration.demo.mailbox import Mail
from examples.user_registration.demo.surroundings import Surroundings
from examples.user_registration.email_service.once import INBOX
from examples.user_registration.user_service.database import OUTBOX

SENT: Final = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What there is of one run at each station."""

    registered: int
    """Answers that said so."""
    put: int
    """Events in the outbox, whatever became of them."""
    sent: int
    """Those of them that the relay has sent."""
    noted: int
    """Those of them that the e-mail service knows it has handled."""
    mails: int
    """Mails about them."""
    mailed: int
    """Different recipients of these mails."""

    @property
    def matches(self) -> bool:
        """Nothing was lost, and nothing was sent twice."""
        return self.registered == self.put == self.sent == self.noted == self.mails == self.mailed > 0


async def newest(users_database: str) -> int:
    """The place of the newest event in the outbox: what comes behind it is of this run."""
    async with open_engine(users_database) as engine, engine.connect() as connection:
        return (await connection.scalar(select(func.max(OUTBOX.outbox.c.position)))) or 0


async def close_books(surroundings: Surroundings, registered: int, *, behind: int) -> Totals:
    """Count what came behind this place of the outbox."""
    events = OUTBOX.outbox.c
    async with open_engine(surroundings.users_database) as engine, engine.connect() as connection:
        rows = (await connection.execute(select(events.id, events.state).where(events.position > behind))).all()
    async with open_engine(surroundings.mails_database) as engine, engine.connect() as connection:
        noted = set(await connection.scalars(select(INBOX.c.id)))
    return _totals(registered, {row.id: row.state for row in rows}, noted, surroundings.mailbox.mails)


def _totals(registered: int, put: dict[str, str], noted: Collection[str], mails: Collection[Mail]) -> Totals:
    ours = [mail for mail in mails if mail.event_id in put]
    return Totals(
        registered=registered,
        put=len(put),
        sent=sum(state == SENT for state in put.values()),
        noted=sum(event_id in noted for event_id in put),
        mails=len(ours),
        mailed=len({mail.recipient for mail in ours}),
    )
