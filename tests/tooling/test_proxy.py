"""The fault proxy loses, delays and cuts exactly what it was told to."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest

from brokers import FaultProxy
from brokers.ports import LOOPBACK, free_port

pytestmark = pytest.mark.anyio

Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SECONDS = 5.0


class Echo:
    """A server that sends back what it hears, and remembers it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.heard = bytearray()
        self.endings: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ending: Exception | None = None
        try:
            while chunk := await reader.read(1024):
                self.heard += chunk
                writer.write(chunk)
        except ConnectionError as error:
            ending = error
        writer.close()
        self.endings.put_nowait(ending)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, LOOPBACK, echo.port)
    yield echo
    server.close()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(LOOPBACK, echo.port) as proxy:
        yield proxy


async def connect(proxy: FaultProxy) -> Ends:
    """A connection over which one exchange has passed."""
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    assert await ask(reader, writer, b"hello") == b"hello"
    return reader, writer


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: bytes) -> bytes:
    writer.write(question)
    return await asyncio.wait_for(reader.readexactly(len(question)), SECONDS)


async def answers(reader: asyncio.StreamReader) -> bool:
    """Whether something arrives soon."""
    done, pending = await asyncio.wait([asyncio.create_task(reader.read(1))], timeout=0.2)
    for read in pending:
        read.cancel()
    return bool(done)


async def test_bytes_pass_in_both_directions_and_so_does_the_end(echo: Echo, proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), SECONDS) == b""
    assert await echo.endings.get() is None
    writer.close()


async def test_held_bytes_arrive_when_they_may_pass_again(echo: Echo, proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    proxy.up = "hold"
    writer.write(b"late")
    assert not await answers(reader)
    assert echo.heard == b"hello"
    proxy.up = "pass"
    assert await asyncio.wait_for(reader.readexactly(4), SECONDS) == b"late"
    writer.close()


async def test_dropped_answers_never_arrive_though_the_questions_did(echo: Echo, proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    proxy.down = "drop"
    writer.write(b"lost")
    assert not await answers(reader)
    assert echo.heard == b"hellolost"
    assert proxy.dropped == {"down": 4}
    proxy.down = "pass"
    assert await ask(reader, writer, b"again") == b"again"
    writer.close()


async def test_a_reset_is_an_error_on_both_sides_and_new_connections_are_welcome(echo: Echo, proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), SECONDS)
    assert isinstance(await asyncio.wait_for(echo.endings.get(), SECONDS), ConnectionResetError)
    writer.close()
    _, again = await connect(proxy)
    assert proxy.connections == 1
    again.close()


async def test_held_bytes_are_lost_when_the_connection_is_reset(echo: Echo, proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    proxy.down = "hold"
    writer.write(b"held")
    assert not await answers(reader)
    proxy.reset()
    proxy.down = "pass"
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), SECONDS)
    writer.close()


async def test_new_connections_are_reset_while_refused_and_old_ones_live_on(proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    proxy.refuse = True
    with pytest.raises(ConnectionError):
        await connect(proxy)
    assert await ask(reader, writer, b"alive") == b"alive"
    writer.close()


async def test_a_server_that_is_down_resets_the_client(echo: Echo) -> None:
    async with FaultProxy(LOOPBACK, free_port()) as proxy:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connect(proxy)


async def test_a_url_keeps_everything_but_its_address(proxy: FaultProxy) -> None:
    assert proxy.url("amqp://me:secret@broker:5672/host?heartbeat=2") == (
        f"amqp://me:secret@127.0.0.1:{proxy.port}/host?heartbeat=2"
    )
