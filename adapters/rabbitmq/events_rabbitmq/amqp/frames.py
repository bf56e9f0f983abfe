"""Frames that carry messages, taken out of the client library's byte stream.

aio-pika costs about 100 µs a message, most of it in tasks, futures and frames that are marshalled property by property.
Messages, confirms and acknowledgements therefore pass it by: a `Splitter` stands before its stream reader and hands the
frames of attached channels to their `Lane`. Everything else (handshake, heartbeats, declarations, closing) stays the
library's. What is written here are whole frames, so that they may mingle with the library's own.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Final, cast

from aiormq.connection import SSLContextProvider, TransportFactory
from pamqp.constants import FRAME_HEARTBEAT
from yarl import URL

__all__ = ["Lane", "Splitter", "Tap"]

_FRAME: Final = struct.Struct(">BHI")
_SIZE: Final = struct.Struct(">Q")
_METHOD, _HEADER, _BODY = 1, 2, 3
_AROUND: Final = 7
_HEARTBEAT: Final = _FRAME.pack(FRAME_HEARTBEAT, 0, 0) + b"\xce"
_SIGN_OF_LIFE: Final = 1.0
"""Seconds: the library counts frames that it sees; while others flow it is shown a heartbeat so often."""

CONNECTION_CLOSE: Final = b"\x00\x0a\x00\x32"
BLOCKED: Final = b"\x00\x0a\x00\x3c"
UNBLOCKED: Final = b"\x00\x0a\x00\x3d"
CHANNEL_CLOSE: Final = b"\x00\x14\x00\x28"
CHANNEL_CLOSE_OK: Final = b"\x00\x14\x00\x29"
CANCEL: Final = b"\x00\x3c\x00\x1e"
RETURN: Final = b"\x00\x3c\x00\x32"
DELIVER: Final = b"\x00\x3c\x00\x3c"
GET_OK: Final = b"\x00\x3c\x00\x47"
GET_EMPTY: Final = b"\x00\x3c\x00\x48"
ACK: Final = b"\x00\x3c\x00\x50"
NACK: Final = b"\x00\x3c\x00\x78"
_WITH_CONTENT: Final = frozenset({RETURN, DELIVER, GET_OK})


class Lane:
    """The frames of one channel, put together: methods and messages go to those who were named for them."""

    __slots__ = ("_body", "_end", "_message", "_method", "_missing", "_properties", "_told")

    def __init__(
        self,
        *,
        method: Callable[[bytes, bytes], bool],
        message: Callable[[bytes, bytes, bytes], None],
        end: Callable[[str], None],
    ) -> None:
        self._method = method
        self._message = message
        self._end = end
        self._told = b""
        self._properties = b""
        self._missing = 0
        self._body: list[bytes] = []

    def take(self, kind: int, payload: bytes) -> bool:
        """Whether the frame was for this lane alone; the client library sees the others too."""
        if kind == _METHOD:
            return self._take_method(payload[:4], payload)
        if kind == _HEADER:
            (self._missing,) = _SIZE.unpack_from(payload, 4)
            self._properties = payload[12:]
        elif kind == _BODY:
            self._body.append(payload)
            self._missing -= len(payload)
        else:
            return False
        if not self._missing:
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body.clear()
            self._message(self._told, self._properties, body)
        return True

    def end(self, reason: str) -> None:
        """Nothing more will come."""
        self._end(reason)

    def _take_method(self, name: bytes, payload: bytes) -> bool:
        if name in _WITH_CONTENT:
            self._told = payload
            return True
        if name == CHANNEL_CLOSE:
            self._end(words(payload))
        elif name == CHANNEL_CLOSE_OK:
            # From now on its number may be another channel's: nothing may be settled on it any more.
            self._end("the channel was closed")
        return self._method(name, payload)


class Splitter(asyncio.Protocol):
    """Takes the frames of attached channels out of a connection's byte stream; a lane sees its own until the end."""

    def __init__(self, inner: asyncio.StreamReaderProtocol) -> None:
        self._inner = inner
        self._lanes: dict[int, Lane] = {}
        self._tail = b""
        self._shown = 0.0
        self._transport: asyncio.WriteTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self.blocked: bool = False
        """The broker takes no messages from this connection for now: it is short of memory or disk."""
        self.ended: str | None = None
        """Why there is no connection any more."""

    def attach(self, channel: int, lane: Lane) -> None:
        """Hand the channel's frames to the lane; a lane that comes too late is told the end at once."""
        if self.ended is not None:
            lane.end(self.ended)
            return
        self._lanes[channel] = lane

    def detach(self, channel: int, lane: Lane) -> None:
        """The channel is the library's again, unless its number already belongs to another lane."""
        if self._lanes.get(channel) is lane:
            del self._lanes[channel]

    def write(self, frames: Sequence[bytes]) -> None:
        """Write whole frames in one piece. Nothing is written once the connection is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    async def room(self) -> None:
        """Return when the broker keeps up with what was written, or the connection is gone."""
        await self._room.wait()

    def end(self, reason: str) -> None:
        """Tell every lane, once, that the connection is gone."""
        if self.ended is None:
            self.ended = reason
            self._room.set()
            lanes, self._lanes = self._lanes, {}
            for lane in lanes.values():
                lane.end(reason)

    def abort(self) -> None:
        """Drop the connection without a word to the broker."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket, or TLS on one."""
        # uvloop's are none of asyncio's classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames, each for its lane or for the library."""
        if self._tail:
            data = self._tail + data
        position, end = 0, len(data)
        others: list[bytes] = []
        while end - position > _AROUND:
            kind, channel, size = _FRAME.unpack_from(data, position)
            after = position + _AROUND + 1 + size
            if after > end:
                break
            lane = self._lanes.get(channel)
            payload = data[position + _AROUND : after - 1]
            if lane is None or not lane.take(kind, payload):
                others.append(data[position:after])
                if channel == 0 and kind == _METHOD:
                    self._listen(payload)
            position = after
        self._tail = data[position:]
        self._pass_on(others)

    def eof_received(self) -> bool | None:
        """The broker says nothing more."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._transport = None
        self.end(str(exc) if exc else "the connection was closed")
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The broker does not keep up."""
        self._room.clear()
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._room.set()
        self._inner.resume_writing()

    def _listen(self, payload: bytes) -> None:
        name = payload[:4]
        if name == BLOCKED:
            self.blocked = True
        elif name == UNBLOCKED:
            self.blocked = False
        elif name == CONNECTION_CLOSE:
            self.end(words(payload))

    def _pass_on(self, frames: list[bytes]) -> None:
        now = self._loop.time()
        if not frames and now - self._shown > _SIGN_OF_LIFE:
            frames = [_HEARTBEAT]
        if frames:
            self._shown = now
            self._inner.data_received(b"".join(frames))


class Tap(TransportFactory):
    """Makes the connection's socket, with a splitter before the client library's reader."""

    def __init__(self) -> None:
        self.splitter: Splitter | None = None

    async def create(self, url: URL, **options: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with TLS for `amqps`."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        inner = asyncio.StreamReaderProtocol(reader, loop=loop)
        splitter = self.splitter = Splitter(inner)
        provider = cast("SSLContextProvider", options["ssl_context_provider"])
        context = await provider.get_context() if url.scheme == "amqps" else None
        transport, _ = await loop.create_connection(lambda: splitter, url.host or "", url.port or 0, ssl=context)
        return reader, asyncio.StreamWriter(transport, inner, reader, loop)


def words(close: bytes) -> str:
    """What the broker says when it closes a channel or a connection: code and text."""
    code = int.from_bytes(close[4:6], "big")
    return f"{code} {close[7 : 7 + close[6]].decode(errors='replace')}"
