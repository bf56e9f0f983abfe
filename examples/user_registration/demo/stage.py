"""The services on their surroundings, and what can be asked of them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx

from examples.user_registration.demo.mailbox import Mail
from examples.user_registration.demo.people import PATIENCE, Crowd
from examples.user_registration.demo.services import Services
from examples.user_registration.demo.surroundings import Surroundings

PACKAGE: Final = "examples.user_registration"
RELAY: Final = ("events_core.cli", "outbox", "relay", "--retention", "86400")
"""What `events outbox relay` is. It keeps what it has sent for a day, so that it can be counted."""
LOOK_AGAIN: Final = 0.05  # seconds
DEADLINE: Final = 90.0
"""Seconds after which something that was waited for does not come any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything is running."""

    surroundings: Surroundings
    services: Services
    url: str
    client: httpx.AsyncClient
    crowd: Crowd

    @property
    def mails(self) -> list[Mail]:
        """Those to the people of this run."""
        ours = set(self.crowd.addresses)
        return [mail for mail in self.surroundings.mailbox.mails if mail.recipient in ours]

    async def all_mailed(self) -> None:
        """Wait until everybody who is registered has a mail."""
        await self.until(lambda: len({mail.recipient for mail in self.mails}) == self.crowd.registered)

    async def health(self) -> dict[str, Any]:
        """What the user service says of itself."""
        said: dict[str, Any] = (await self.client.get("/health")).json()
        return said

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait, as long as all services are well; `TimeoutError` if it takes too long."""
        async with asyncio.timeout(DEADLINE):
            while not done():
                self.services.check()
                await asyncio.sleep(LOOK_AGAIN)

    async def forever(self) -> NoReturn:
        """Wait as long as all services are well."""
        while True:
            self.services.check()
            await asyncio.sleep(LOOK_AGAIN)

    async def stop(self) -> None:
        """Each finishes what it has begun, in the order in which an event passes them."""
        for name in ("user_service", "relay", "email_service"):
            await self.services.stop(name)


@asynccontextmanager
async def open_stage(surroundings: Surroundings, folder: Path, *, port: int = 0) -> AsyncGenerator[Stage]:
    """Start the three processes; none of them outlives the block. `port` is the API's; 0 takes a free one."""
    at_users = ("--database", surroundings.users_database)
    at_mails = ("--database", surroundings.mails_database, "--smtp", f"127.0.0.1:{surroundings.mailbox.port}")
    on_bus = ("--bus", surroundings.bus)
    async with Services(folder) as services:
        await services.start("user_service", f"{PACKAGE}.user_service", *at_users, "--port", str(port))
        await services.start("email_service", f"{PACKAGE}.email_service", *at_mails, *on_bus)
        url = await services.ready("user_service")
        # A relay makes no database: the service has to have made its own.
        await services.start("relay", *RELAY, *at_users, *on_bus, speaks=False)
        # Nobody registers before this one is ready, too: nothing is kept for a consumer that was never there.
        await services.ready("email_service")
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            yield Stage(surroundings=surroundings, services=services, url=url, client=client, crowd=Crowd(client))
