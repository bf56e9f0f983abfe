"""One server of the chat: `python -m examples.online_chat.server --bus redis+pubsub://localhost --port 8000`.

Several of them on one Redis share all rooms. SIGTERM closes the sockets and tells the rooms who left.
"""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from events_core import EventsError, open_bus
from events_core.cli.rendering import as_svg
from examples.online_chat import connection
from examples.online_chat.chat import Chat

PAGE: Final = Path(__file__).parent / "page"
LARGEST_FRAME: Final = 16 * 1024  # bytes
SIGN_OF_LIFE: Final = 20.0
"""Seconds: how often a page is asked whether it is there, and how long it may take to answer."""
GOODBYE: Final = 5
"""Seconds at shutdown in which pages may go."""
POLICY: Final = "default-src 'self'"


def new_app(chat: Chat) -> FastAPI:
    """The pages, the sockets and the health of one server."""
    app = FastAPI(title="Online chat", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})

    @app.get("/health")
    async def health() -> Response:
        ready = await chat.is_ready()
        topology = chat.topology
        return JSONResponse(
            {
                "ready": ready,
                "people": chat.people,
                "consumers": len(topology.consumers),
                "rooms": len(topology.topics),
                "tasks": len(asyncio.all_tasks()),
            },
            status_code=200 if ready else 503,
        )

    @app.get("/topology.svg")
    async def topology() -> Response:
        return Response(as_svg(chat.topology), media_type="image/svg+xml")

    @app.websocket("/rooms/{room}")
    async def visit(websocket: WebSocket, room: str, name: str = "") -> None:
        await connection.serve(websocket, chat, name=name, room=room)

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


async def serve(bus_url: str, listening: socket.socket, url: str) -> None:
    """Serve until SIGTERM or SIGINT; say where, as soon as people may come."""
    async with open_bus(bus_url, source="online-chat") as bus:
        server = uvicorn.Server(
            uvicorn.Config(
                new_app(Chat(bus)),
                log_level="warning",
                ws_max_size=LARGEST_FRAME,
                ws_ping_interval=SIGN_OF_LIFE,
                ws_ping_timeout=SIGN_OF_LIFE,
                timeout_graceful_shutdown=GOODBYE,
            )
        )
        # Also for one that comes before it serves, and one that it raises again when it has drained.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        print(url, flush=True)
        await server.serve(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket on which connections wait until they are served."""
    listening = socket.create_server((host, port), backlog=1024)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Also a page that takes nothing and never says goodbye is forgotten in the end.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SIGN_OF_LIFE * 1000))
    return listening


def main() -> int:
    options = _options()
    logging.basicConfig(format="%(name)s: %(message)s")
    try:
        with listen(options.host, options.port) as listening:
            url = f"http://{options.host}:{listening.getsockname()[1]}"
            asyncio.run(serve(options.bus, listening, url))
    except (EventsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.online_chat.server", description=__doc__)
    parser.add_argument("--bus", default="redis+pubsub://localhost", metavar="URL", help="%(default)s")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
