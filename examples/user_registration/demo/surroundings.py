"""What the services need: a database each, a broker, a mail server. What no URL names is started."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from brokers import Broker, PostgreSQL
from brokers.opening import docker_image, new_broker
from brokers.postgresql import IMAGE
from examples.user_registration.demo.blocking import running
from examples.user_registration.demo.mailbox import Mailbox, open_mailbox

MAILS: Final = "mails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asked for."""

    broker: str
    """The name of one to be started, unless `bus` is a URL."""
    bus: str | None
    database: str | None

    @property
    def described(self) -> str:
        """What has to be started."""
        started = [*([] if self.database else ["PostgreSQL"]), *([] if self.bus else [self.broker])]
        return ", ".join([*started, "a mail server"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything that there is around the services."""

    users_database: str
    mails_database: str
    bus: str
    broker: Broker | None
    """Where it was started here, and may be stopped."""
    mailbox: Mailbox


@asynccontextmanager
async def open_surroundings(wanted: Wanted, folder: Path, mailbox: Mailbox) -> AsyncGenerator[Surroundings]:
    """All of it, as long as the block runs.

    Raises:
        BrokerUnavailable: something is not installed; the message says what to do.
        BrokerFailed: something did not start.
    """
    async with AsyncExitStack() as open_ones:
        users, mails = await _databases(wanted, folder, open_ones)
        broker = None
        if wanted.bus is None:
            broker = await open_ones.enter_async_context(running(new_broker(wanted.broker, folder / wanted.broker)))
        await open_ones.enter_async_context(open_mailbox(mailbox))
        yield Surroundings(
            users_database=users,
            mails_database=mails,
            bus=wanted.bus or (broker.url if broker else ""),
            broker=broker,
            mailbox=mailbox,
        )


async def _databases(wanted: Wanted, folder: Path, open_ones: AsyncExitStack) -> tuple[str, str]:
    if wanted.database is not None:
        return wanted.database, beside(wanted.database)
    server = PostgreSQL(folder / "postgresql", image=docker_image(IMAGE))
    await open_ones.enter_async_context(running(server))
    return server.new_database("users"), server.new_database(MAILS)


def beside(database: str) -> str:
    """The e-mail service's database: a file of its own, as SQLite has one writer; else other tables of the same one."""
    url = make_url(database)
    if url.get_backend_name() != "sqlite" or url.database is None:
        return database
    file = Path(url.database)
    return url.set(database=str(file.with_name(f"{file.stem}-{MAILS}{file.suffix}"))).render_as_string(
        hide_password=False
    )
