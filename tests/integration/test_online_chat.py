"""The chat's servers, under many, slow, dead and strange sockets."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import closing
from itertools import cycle
from typing import Any, Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

import brokers
from examples.online_chat.visitor import Visitor
from tests.integration.chat_server import ChatServer, eventually, pubsub

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]

CROWD: Final = 500
A_ROOM_EACH: Final = 20  # people
LONG: Final = "\N{GRINNING FACE}" * 500
INVALID: Final = 'A message has 1 to 500 characters, and is sent as {"say": "..."}.'
UPGRADE: Final = (
    "GET /rooms/{room}?name=Sloth HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def servers(fresh_redis: brokers.Redis) -> Generator[tuple[ChatServer, ChatServer]]:
    """Two processes behind one Redis."""
    with ChatServer(pubsub(fresh_redis)) as first, ChatServer(pubsub(fresh_redis)) as second:
        yield first, second


@pytest.fixture(scope="module")
def server(redis_broker: brokers.Redis) -> Generator[ChatServer]:
    """One that tests share; each has a room of its own."""
    with ChatServer(pubsub(redis_broker)) as server:
        yield server


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop will do: the servers are processes of their own."""
    return "asyncio"


def counted(server: ChatServer) -> tuple[dict[str, Any], int]:
    """Everything of which a server could leave something behind."""
    return server.health(), server.open_files()


def is_deserted(server: ChatServer) -> bool:
    """Whether the last has left, and what was there for them is gone."""
    looks = [counted(server) for _ in range(2)]
    health, _ = looks[0]
    return looks[0] == looks[1] and health["people"] == health["consumers"] == health["rooms"] == 0


def clients(redis: brokers.Redis) -> int:
    """The connections to this Redis; that of who asks is one of them."""
    return len(redis.command("CLIENT", "LIST").splitlines())


def sloth(server: ChatServer, room: str) -> socket.socket:
    """A socket in the room that reads nothing, and has hardly any room for what it does not read."""
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.connect(("127.0.0.1", server.port))
    connected.sendall(UPGRADE.format(room=room).encode())
    assert b"101" in connected.recv(32)
    return connected


async def test_five_hundred_people_leave_nothing_behind(
    servers: tuple[ChatServer, ChatServer], fresh_redis: brokers.Redis
) -> None:
    warm = [await Visitor.enter(server.url, "warm", "up") for server in servers]
    await asyncio.gather(*(visitor.leave() for visitor in warm))
    for server in servers:
        await eventually(lambda server=server: is_deserted(server))  # type: ignore[misc]
    before = [counted(server) for server in servers]
    connections = clients(fresh_redis)

    doors = zip(cycle(servers), range(CROWD), strict=False)
    people = [Visitor.enter(server.url, f"room-{n // A_ROOM_EACH}", f"guest {n}") for server, n in doors]
    visitors = await asyncio.gather(*people)
    assert [server.health()["consumers"] for server in servers] == [CROWD // 2] * 2
    assert len(fresh_redis.command("PUBSUB", "CHANNELS").split()) == CROWD // A_ROOM_EACH
    assert clients(fresh_redis) == connections, "a connection each would be too many"
    ways = cycle((Visitor.leave, Visitor.vanish, talk_and_leave))
    await asyncio.gather(*(way(visitor) for way, visitor in zip(ways, visitors, strict=False)))

    for server, counts in zip(servers, before, strict=True):
        await eventually(lambda server=server, counts=counts: counted(server) == counts)  # type: ignore[misc]
    await eventually(lambda: fresh_redis.command("PUBSUB", "CHANNELS") == "")
    assert clients(fresh_redis) == connections


async def talk_and_leave(visitor: Visitor) -> None:
    """In the middle of a sentence, so to speak."""
    for number in range(5):
        await visitor.say(f"sentence {number}")
    await visitor.leave()


@pytest.mark.parametrize(
    "frame",
    [
        "no json at all",
        "",
        "[]",
        "{}",
        '{"say": 7}',
        '{"say": ""}',
        '{"say": "  \\n "}',
        '{"say": "\\ud800"}',
        '{"say": "x", "to": "everybody"}',
        b"\xff\xfe\x00",
        "[" * 10_000,
    ],
    ids=lambda frame: repr(frame[:20]),
)
async def test_an_invalid_message_is_answered_with_an_error_and_the_connection_lives(
    server: ChatServer, frame: str | bytes
) -> None:
    ada = await Visitor.enter(server.url, "strange", "Ada")
    await ada.write(frame)
    await ada.sees("error", reason=INVALID)
    await ada.say("still here")
    await ada.sees("chat.said", text="still here")
    await ada.leave()


@pytest.mark.parametrize(
    "path", ["/rooms/UPPER%20CASE?name=Ada", "/rooms/tea?name=", "/rooms/tea", "/rooms/a.b?name=A"]
)
async def test_who_names_no_proper_place_is_told_so_and_turned_away(server: ChatServer, path: str) -> None:
    async with connect(f"ws://127.0.0.1:{server.port}{path}", proxy=None) as stranger:
        assert "A name has 1 to 30 characters" in str(await stranger.recv())
        with pytest.raises(ConnectionClosedError) as closed:
            await stranger.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    await eventually(lambda: server.health()["people"] == 0)


async def test_who_comes_while_redis_hangs_is_turned_away_in_time_however_many_they_are(
    servers: tuple[ChatServer, ChatServer], fresh_redis: brokers.Redis
) -> None:
    server, _ = servers
    fresh_redis.freeze()

    async def come(number: int) -> str:
        async with connect(f"ws://127.0.0.1:{server.port}/rooms/room-{number}?name=Ada", proxy=None) as stranger:
            return str(await stranger.recv())

    async with asyncio.timeout(30):
        answers = await asyncio.gather(*map(come, range(50)))
    assert all("out of order" in answer for answer in answers)
    fresh_redis.resume()
    await eventually(lambda: server.health()["people"] == 0 and bool(server.health()["ready"]))
    ada = await Visitor.enter(server.url, "room-1", "Ada")
    await ada.leave()


async def test_a_message_that_is_far_too_long_ends_its_own_connection_only(server: ChatServer) -> None:
    ben = await Visitor.enter(server.url, "long", "Ben")
    ada = await Visitor.enter(server.url, "long", "Ada")
    await ada.write("x" * 100_000)
    await ben.sees("chat.left", name="Ada")
    await ben.say("gone")
    await ben.sees("chat.said", text="gone")
    await ben.leave()
    await ada.leave()


async def test_who_does_not_read_is_cut_off_and_nobody_waits_for_it(server: ChatServer) -> None:
    with closing(sloth(server, "full")):
        ada = await Visitor.enter(server.url, "full", "Ada")
        ben = await Visitor.enter(server.url, "full", "Ben")
        await eventually(lambda: server.health()["people"] == 3)
        said = 0
        while not any(each["type"] == "chat.left" for each in ben.seen):
            await asyncio.gather(*(ada.say(f"{LONG[10:]}{said + n}") for n in range(100)))
            said += 100
            await ben.sees("chat.said", text=f"{LONG[10:]}{said - 1}")
            assert said < 4_000, "the mailbox of a socket that does not read has no end"
        assert sum(each["type"] == "chat.said" for each in ben.seen) == said, "who reads misses nothing"
        assert [each["name"] for each in ben.seen if each["type"] == "chat.left"] == ["Sloth"]
        assert server.health()["consumers"] == 2
        await ada.leave()
        await ben.leave()


async def test_a_server_that_is_stopped_says_goodbye_for_everybody(
    servers: tuple[ChatServer, ChatServer], fresh_redis: brokers.Redis
) -> None:
    first, second = servers
    ben = await Visitor.enter(second.url, "tea", "Ben")
    url = f"ws://127.0.0.1:{first.port}/rooms/tea?name=Ada"
    with closing(sloth(first, "tea")):
        async with connect(url, proxy=None) as ada:
            await ben.sees("chat.joined", name="Ada")
            assert await asyncio.to_thread(first.end) == 0
            await ada.wait_closed()
            assert ada.close_code == 1012  # the service restarts
    await ben.sees("chat.left", name="Ada")
    await ben.sees("chat.left", name="Sloth")
    await ben.leave()
    assert await asyncio.to_thread(second.end) == 0
    assert clients(fresh_redis) == 1
    assert fresh_redis.command("PUBSUB", "CHANNELS") == ""


async def test_without_redis_a_message_is_answered_with_an_error_and_with_it_the_room_goes_on(
    servers: tuple[ChatServer, ChatServer], fresh_redis: brokers.Redis
) -> None:
    ada = await Visitor.enter(servers[0].url, "tea", "Ada")
    ben = await Visitor.enter(servers[1].url, "tea", "Ben")
    await asyncio.to_thread(fresh_redis.stop)
    await ada.say("lost")
    await ada.sees("error", reason="This was not sent. Please try again.")
    await eventually(lambda: not servers[0].health()["ready"])
    async with connect(f"ws://127.0.0.1:{servers[0].port}/rooms/new?name=Cleo", proxy=None) as cleo:
        assert "out of order" in str(await cleo.recv())
    await asyncio.to_thread(fresh_redis.start)
    for server in servers:
        await eventually(lambda server=server: bool(server.health()["ready"]))  # type: ignore[misc]
    await ada.say("found")
    await ben.sees("chat.said", text="found")
    assert servers[0].health()["people"] == 1
    await ada.leave()
    await ben.leave()
