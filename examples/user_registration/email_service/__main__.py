"""The e-mail service: `python -m examples.user_registration.email_service --database ... --bus ... --smtp host:port`.

Works until SIGTERM or Ctrl-C, then finishes what it has begun.
"""

import argparse
import asyncio
import logging
import sys
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from events_core import EventsError, IntegrationEventBus
from events_core.outbox import InboxRetention
from examples.user_registration.databases import create_tables
from examples.user_registration.email_service.once import METADATA
from examples.user_registration.email_service.wiring import Places, new_container

READY: Final = "ready"
"""What it prints when every event sent from now on will reach it."""


async def work(places: Places) -> None:
    """Mail whoever registers, until a signal."""
    container = new_container(places)
    try:
        await create_tables(await container.get(AsyncEngine), METADATA)
        bus = await container.get(IntegrationEventBus)
        async with await container.get(InboxRetention):
            await bus.startup()
            print(READY, flush=True)
            await bus.run()
    finally:
        await container.close()


def main() -> int:
    logging.basicConfig(format="%(name)s: %(message)s")
    try:
        asyncio.run(work(_places()))
    except (EventsError, SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _places() -> Places:
    parser = argparse.ArgumentParser(prog="python -m examples.user_registration.email_service", description=__doc__)
    parser.add_argument("--database", required=True, metavar="URL", help="PostgreSQL, or sqlite:///a/file")
    parser.add_argument("--bus", required=True, metavar="URL", help="where the events are: amqp://, kafka://, redis://")
    parser.add_argument("--smtp", default="localhost:25", metavar="HOST:PORT", help="the mail server (%(default)s)")
    options = parser.parse_args()
    host, _, port = options.smtp.rpartition(":")
    return Places(database=options.database, bus=options.bus, smtp_host=host, smtp_port=int(port))


if __name__ == "__main__":
    sys.exit(main())
