"""Show two services at work: `python -m examples.user_registration`, and with `--serve` keep them running.

Starts PostgreSQL, RabbitMQ and a mail server, unless URLs name others; then the services and the relay as processes.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from httpx import HTTPError
from rich.console import Console

from brokers import BrokerFailed, BrokerUnavailable
from examples.user_registration.demo.mailbox import Mailbox
from examples.user_registration.demo.services import ServiceEnded
from examples.user_registration.demo.stage import Stage, open_stage
from examples.user_registration.demo.story import NotAsItShould, play
from examples.user_registration.demo.surroundings import Wanted, open_surroundings
from examples.user_registration.demo.telling import Telling
from examples.user_registration.demo.totals import close_books, newest


def main() -> int:
    """Run the program; 0 if every registration became one mail, 1 if not."""
    # Whoever ends this program by SIGTERM ends what it has started, too, as with Ctrl-C; also where a shell started it
    # in the background, which ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    options = _options()
    telling = Telling(Console(width=None if sys.stdout.isatty() else 110))
    wanted = Wanted(broker=options.broker, bus=options.bus, database=options.database)
    work = serve(telling, wanted, options.port) if options.serve else show(telling, wanted, options.people)
    try:
        return 0 if asyncio.run(work) else 1
    except (BrokerUnavailable, BrokerFailed, ServiceEnded, NotAsItShould, HTTPError, TimeoutError) as error:
        telling.say(f"NOT OK: {str(error) or 'not everybody who registered was mailed in time.'}")
        return 1
    except KeyboardInterrupt:
        telling.say("Stopped.")
        return 0 if options.serve else 130


async def show(telling: Telling, wanted: Wanted, people: int) -> bool:
    """Play the story, stop everything, and close the books; whether they match."""
    async with everything(telling, wanted, Mailbox()) as stage:
        before = await newest(stage.surroundings.users_database)
        await play(stage, telling, people=people)
        await stage.stop()
        return telling.totals(await close_books(stage.surroundings, stage.crowd.registered, behind=before))


async def serve(telling: Telling, wanted: Wanted, port: int) -> bool:
    """Keep it running for a person with curl, until Ctrl-C."""
    async with everything(telling, wanted, Mailbox(telling.mail), port=port) as stage:
        telling.how_to_visit(stage, stage.surroundings.bus)
        try:
            await stage.forever()
        except asyncio.CancelledError:
            await stage.stop()
            raise


@asynccontextmanager
async def everything(telling: Telling, wanted: Wanted, mailbox: Mailbox, *, port: int = 0) -> AsyncGenerator[Stage]:
    """The surroundings and the services, as long as the block runs."""
    telling.say(f"Starting {wanted.described} ...")
    with TemporaryDirectory(prefix="user-registration-") as name:
        folder = Path(name)
        async with (
            open_surroundings(wanted, folder, mailbox) as surroundings,
            open_stage(surroundings, folder, port=port) as stage,
        ):
            telling.stage(stage)
            yield stage


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.user_registration", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--broker", default="rabbitmq", metavar="NAME", help="start it and run on it (%(default)s)")
    where.add_argument("--bus", metavar="URL", help="run on a broker that is there: amqp://, kafka://, redis://")
    parser.add_argument("--database", metavar="URL", help="PostgreSQL that is there, or sqlite+aiosqlite:///a/file")
    parser.add_argument("--people", type=int, default=200, help="who register while the broker is away (%(default)s)")
    parser.add_argument("--serve", action="store_true", help="keep it running for a person with curl, until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="of the API, with --serve (any free)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
