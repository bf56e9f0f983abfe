"""The client library's clients, as far as they are used here: with types, and closed without waiting for ever."""

# ruff: noqa: SLF001 the library has no way to end what waits for a broker that is not there

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.conn import AIOKafkaConnection  # type: ignore[import-untyped]
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]

from events_core.errors import NotConnected
from events_kafka.errors import translate, translated
from events_kafka.library import Client, Connection, Consumer, Partition, Producer
from events_kafka.settings import Address, KafkaSettings

__all__ = ["Clients", "check", "rejoin"]

_BATCH_BYTES: Final = 256 * 1024
_FETCH_MS: Final = 200
"""How long the broker holds an empty fetch: a partition that is added meanwhile waits for its end."""
_NEWS_MS: Final = 5_000
"""How long partitions that are added go unnoticed, and topics that are made again."""
_NEVER_MS: Final = 2**31 - 1
_JOIN: Final = 5.0
_CUT: Final = 1.0
_AGAIN: Final = 0.1
_SOONER: Final = 0.7
"""The library gives a request up before we give up the library: where it is cancelled, it forgets a connection."""


class Clients:
    """Makes clients, and ends them in the background where they do not end in time."""

    def __init__(self, address: Address, settings: KafkaSettings) -> None:
        self._settings = settings
        # A request to join is answered when everybody else has drained: as late as that.
        self._joining = settings.drain + _JOIN
        self.timeout: Final = settings.timeout
        self.patience: Final = max(settings.session_timeout, self._joining) + 1
        """Seconds after which a member without a sign of life is none any more."""
        self._milliseconds = round(settings.timeout * _SOONER * 1000)
        self._leaving: dict[Client, asyncio.Task[None]] = {}
        self._commits: set[asyncio.Task[None]] = set()
        self._first = address.servers[0]
        self._common: dict[str, Any] = {"request_timeout_ms": self._milliseconds, **address.security}
        self.address: Final = address

    def begin_at(self, host: str, port: int) -> None:
        """Ask this server where the others are: one that does not answer costs each client its time."""
        self._first = (host, port)

    def connection(self, host: str, port: int, closed: Callable[[], None]) -> Connection:
        """Not yet connected; tells when it ends."""

        def on_close(connection: Any, _: object) -> None:  # noqa: ANN401
            _abort(connection)
            closed()

        made = AIOKafkaConnection(
            host,
            port,
            client_id="events-core",
            request_timeout_ms=self._milliseconds,
            on_close=on_close,
            **self.address.security,
        )
        return cast("Connection", made)

    def consumer(
        self, group: str | None = None, *, reset: str = "earliest", assignors: Sequence[object] = ()
    ) -> Consumer:
        """Not yet started. It commits only what it is told to."""
        settings = self._settings
        joining = round(self._joining * 1000)
        options: dict[str, Any] = {
            **self._common,
            "request_timeout_ms": max(self._milliseconds, joining + 2_000),
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": reset,
            "session_timeout_ms": round(settings.session_timeout * 1000),
            "heartbeat_interval_ms": round(settings.heartbeat_interval * 1000),
            "rebalance_timeout_ms": joining,
            # Who holds a full window reads nothing, and stays a member by its heartbeats.
            "max_poll_interval_ms": _NEVER_MS,
            "fetch_max_wait_ms": _FETCH_MS,
            "isolation_level": "read_committed",
            "metadata_max_age_ms": _NEWS_MS,
        }
        if assignors:
            options["partition_assignment_strategy"] = assignors
        return cast("Consumer", self._watched(AIOKafkaConsumer(**options)))

    async def producer(self) -> Producer:
        """Started; `NotConnected` in time. What it confirmed is on every replica that is in sync, once."""
        made = AIOKafkaProducer(
            **self._common, acks="all", enable_idempotence=True, max_batch_size=_BATCH_BYTES, max_request_size=2**21
        )
        producer = cast("Producer", self._watched(made))
        await self.start(producer)
        return producer

    async def admin(self) -> Any:  # noqa: ANN401
        """Started; `NotConnected` in time."""
        admin = self._watched(AIOKafkaAdminClient(**self._common))
        # The others are stopped.
        admin.stop = admin.close
        await self.start(admin)
        return admin

    async def start(self, client: Client) -> None:
        """Start it, or end it; `NotConnected` in time."""
        try:
            async with translated(self.timeout):
                await client.start()
        except BaseException:
            await self.end(client, seconds=0)
            raise

    async def commit(self, consumer: Consumer, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Commit in time, or go on without waiting: the library tries for ever, and must not be stopped while it asks.

        Raises the library's own `CommitFailedError` or `IllegalStateError` for partitions that are somebody else's.
        """
        task = asyncio.get_running_loop().create_task(consumer.commit(offsets))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        task.add_done_callback(_seen)
        await asyncio.wait([task], timeout=self.timeout)
        if not task.done():
            raise NotConnected(f"Kafka took no commit within {self.timeout:g} s")
        if isinstance(error := task.exception(), CommitFailedError | IllegalStateError):
            raise error
        if error is not None:
            raise translate(error) from error

    async def end(self, client: Client, *, seconds: float | None = None) -> None:
        """Stop it; after so many seconds it goes on stopping by itself, as long as any call may take."""
        if client not in self._leaving:
            self._leaving[client] = asyncio.get_running_loop().create_task(self._stop(client))
        await asyncio.wait([self._leaving[client]], timeout=self.timeout if seconds is None else seconds)

    async def close(self) -> None:
        """Cut those that are still stopping."""
        for client in self._leaving:
            _cut(client)
        if self._leaving:
            await asyncio.wait(self._leaving.values(), timeout=2 * _CUT)
        # They have no client any more that could be asked.
        for commit in self._commits:
            commit.cancel()
        if self._commits:
            await asyncio.wait(self._commits, timeout=_CUT)

    def _watched(self, client: Any) -> Any:  # noqa: ANN401
        """A connection that it closes is closed at once: to a frozen broker it might have to write for ever."""
        inner = _inner(client)
        told = inner._on_connection_closed

        def on_close(connection: Any, reason: object) -> None:  # noqa: ANN401
            _abort(connection)
            told(connection, reason)

        inner._on_connection_closed = on_close
        inner.bootstrap = lambda: self._begin(inner)
        return client

    async def _begin(self, inner: Any) -> None:  # noqa: ANN401
        """Learn who is there: from one server, waiting until a node is up, and ending the connection at once.

        The library would wait for the broker's answer to that end, and forget the connection where it is cancelled.
        """
        connection = self.connection(*self._first, lambda: None)
        await connection.connect()
        try:
            while not (told := await connection.send(MetadataRequest([]))).brokers:  # noqa: ASYNC110 a broker sets no asyncio.Event
                await asyncio.sleep(_AGAIN)
        finally:
            connection.close()
        if inner._get_conn is _nowhere:
            raise KafkaError("the client was given up")
        inner.cluster.update_metadata(told)
        inner._sync_task = asyncio.create_task(inner._md_synchronizer())

    async def _stop(self, client: Client) -> None:
        stopping = asyncio.get_running_loop().create_task(client.stop())
        stopping.add_done_callback(_seen)
        await asyncio.wait([stopping], timeout=self.timeout)
        _cut(client)
        await asyncio.wait([stopping], timeout=_CUT)
        stopping.cancel()
        if (asking := _inner(client)._sync_task) is not None:
            asking.cancel()
        del self._leaving[client]


def check(member: Any) -> None:  # noqa: ANN401
    """Raise what ended its membership."""
    member._coordinator.check_errors()


def rejoin(member: Any) -> None:  # noqa: ANN401
    """Have the group's partitions shared anew."""
    member._coordinator.request_rejoin()


def _cut(client: Any) -> None:  # noqa: ANN401
    """Nothing that it does in the background reaches the cluster any more; so all of it comes to an end."""
    inner = _inner(client)
    inner._get_conn, inner.send = _nowhere, _refuse
    for connection in inner._conns.values():
        connection.close()
    inner._conns = _Closed(inner._conns)


class _Closed(dict[Any, Any]):
    """The connections of a client that was given up: one that was being made meanwhile is closed, too."""

    def __setitem__(self, key: Any, connection: Any) -> None:  # noqa: ANN401
        super().__setitem__(key, connection)
        connection.close()


def _inner(client: Any) -> Any:  # noqa: ANN401
    return getattr(client, "client", None) or client._client


async def _nowhere(*_: object, **__: object) -> None:
    """No connection could be made."""


async def _refuse(*_: object, **__: object) -> None:
    """Not to be tried again."""
    raise KafkaError("the client was given up")


def _abort(connection: Any) -> None:  # noqa: ANN401
    if (transport := connection._protocol._transport) is not None:
        transport.abort()


def _seen(task: "asyncio.Task[None]") -> None:
    """Nobody asks for an answer that came too late."""
    if not task.cancelled():
        task.exception()
