"""The user service: `python -m examples.user_registration.user_service --database postgresql://localhost/users`.

It needs no broker: what it tells the world waits in its outbox, for `events outbox relay`. SIGTERM ends it.
"""

import argparse
import asyncio
import logging
import signal
import socket
import sys

import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from examples.user_registration.databases import create_tables
from examples.user_registration.user_service.api import new_app
from examples.user_registration.user_service.database import METADATA
from examples.user_registration.user_service.wiring import Places, new_container


async def serve(places: Places, listening: socket.socket, url: str) -> None:
    """Serve until SIGTERM or SIGINT; say where, as soon as people may come."""
    container = new_container(places)
    try:
        await create_tables(await container.get(AsyncEngine), METADATA)
        server = uvicorn.Server(uvicorn.Config(new_app(container), log_level="warning"))
        # Also for one that comes before it serves, and one that it raises again when it has drained.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        print(url, flush=True)
        await server.serve(sockets=[listening])
    finally:
        await container.close()


def main() -> int:
    options = _options()
    logging.basicConfig(format="%(name)s: %(message)s")
    try:
        with socket.create_server((options.host, options.port), backlog=1024) as listening:
            url = f"http://{options.host}:{listening.getsockname()[1]}"
            asyncio.run(serve(Places(database=options.database), listening, url))
    except (SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.user_registration.user_service", description=__doc__)
    parser.add_argument("--database", required=True, metavar="URL", help="PostgreSQL, or sqlite:///a/file")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
