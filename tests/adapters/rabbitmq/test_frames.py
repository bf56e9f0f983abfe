"""The stream of bytes, cut into frames for lanes and for the client library."""

import asyncio
from itertools import pairwise
from random import Random

import pytest
from pamqp import body, commands, frame, header
from pamqp.heartbeat import Heartbeat

from events_rabbitmq.amqp.frames import Lane, Splitter

pytestmark = pytest.mark.anyio

OURS, THEIRS = 2, 1
HEARTBEAT = frame.marshal(Heartbeat(), 0)


class Seen:
    """What a lane was told."""

    def __init__(self) -> None:
        self.methods: list[bytes] = []
        self.bodies: list[bytes] = []
        self.ends: list[str] = []
        self.lane: Lane = Lane(method=self._method, message=self._message, end=self.ends.append)

    def _method(self, name: bytes, payload: bytes) -> bool:
        self.methods.append(name)
        return False

    def _message(self, told: bytes, properties: bytes, body: bytes) -> None:
        self.bodies.append(body)


class Stream:
    """A splitter before a reader, as a connection has it."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.splitter = Splitter(asyncio.StreamReaderProtocol(self.reader))
        self.seen = Seen()
        self.splitter.attach(OURS, self.seen.lane)

    async def library(self, size: int) -> bytes:
        """So many bytes that the client library gets to see."""
        async with asyncio.timeout(5):
            return await self.reader.readexactly(size)


def message(content: bytes, pieces: int) -> bytes:
    """A delivered message in frames."""
    size = max(1, -(-len(content) // pieces))
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    frames: list[frame.FrameTypes] = [
        commands.Basic.Deliver(consumer_tag="me", delivery_tag=1, exchange="e", routing_key="r"),
        header.ContentHeader(body_size=len(content), properties=commands.Basic.Properties(message_id="m")),
        *(body.ContentBody(part) for part in parts),
    ]
    return b"".join(frame.marshal(each, OURS) for each in frames)


@pytest.mark.parametrize("seed", range(20))
async def test_messages_are_whole_however_the_stream_is_cut(seed: int) -> None:
    random = Random(seed)
    bodies = [random.randbytes(random.choice([0, 1, 100, 5_000])) for _ in range(10)]
    library = frame.marshal(commands.Channel.OpenOk(), THEIRS)
    data = b"".join(message(each, random.randint(1, 4)) + library for each in bodies)
    cuts = sorted({0, len(data), *(random.randrange(len(data)) for _ in range(40))})
    stream = Stream()
    for begin, end in pairwise(cuts):
        stream.splitter.data_received(data[begin:end])
    assert stream.seen.bodies == bodies
    stream.reader.feed_eof()
    assert (await stream.reader.read()).replace(HEARTBEAT, b"") == library * 10


async def test_the_end_of_a_channel_is_told_with_the_brokers_words_and_seen_by_the_library() -> None:
    close = frame.marshal(
        commands.Channel.Close(reply_code=406, reply_text="PRECONDITION_FAILED", class_id=0, method_id=0), OURS
    )
    stream = Stream()
    stream.splitter.data_received(close)
    assert stream.seen.ends == ["406 PRECONDITION_FAILED"]
    assert await stream.library(len(close)) == close


async def test_the_end_of_a_connection_is_told_once_with_the_brokers_words() -> None:
    stream = Stream()
    close = commands.Connection.Close(reply_code=320, reply_text="CONNECTION_FORCED", class_id=0, method_id=0)
    stream.splitter.data_received(frame.marshal(close, 0))
    stream.splitter.connection_lost(None)
    assert stream.seen.ends == ["320 CONNECTION_FORCED"]
    assert stream.splitter.ended == "320 CONNECTION_FORCED"


async def test_a_lane_attached_after_the_end_is_told_at_once() -> None:
    stream = Stream()
    stream.splitter.connection_lost(ConnectionResetError("reset by peer"))
    late = Seen()
    stream.splitter.attach(THEIRS, late.lane)
    assert late.ends == ["reset by peer"]


async def test_a_broker_in_need_is_remembered_until_it_is_well() -> None:
    stream = Stream()
    stream.splitter.data_received(frame.marshal(commands.Connection.Blocked(reason="low on disk"), 0))
    assert stream.splitter.blocked
    stream.splitter.data_received(frame.marshal(commands.Connection.Unblocked(), 0))
    assert not stream.splitter.blocked
