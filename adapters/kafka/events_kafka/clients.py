"""The client library's clients, as far as they are used here: with types, and closed without waiting for ever."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.conn import AIOKafkaConnection  # type: ignore[import-untyped]
from aiokafka.errors import CommitFailedError, IllegalStateError  # type: ignore[import-untyped]

from events_core.errors import NotConnected
from events_kafka.errors import translate, translated
from events_kafka.library import Connection, Consumer, Partition, Producer
from events_kafka.settings import Address, KafkaSettings

__all__ = ["Clients"]

_BATCH_BYTES: Final = 256 * 1024
_FETCH_MS: Final = 200
"""How long the broker holds an empty fetch: a partition that is added meanwhile waits for its end."""
_NEVER_MS: Final = 2**31 - 1
_JOIN: Final = 5.0
_SOONER: Final = 0.7
"""The library gives a request up before we give up the library: where it is cancelled, it forgets a connection."""


class Clients:
    """Makes clients, and ends them in the background where they do not end in time."""

    def __init__(self, address: Address, settings: KafkaSettings) -> None:
        self._settings = settings
        self.timeout: Final = settings.timeout
        self._milliseconds = round(settings.timeout * _SOONER * 1000)
        self._leaving: set[asyncio.Task[None]] = set()
        self._commits: defaultdict[Consumer | Producer, set[asyncio.Task[None]]] = defaultdict(set)
        self.address: Final = address
        self.common: Final[dict[str, Any]] = {
            "bootstrap_servers": [f"{host}:{port}" for host, port in address.servers],
            "request_timeout_ms": self._milliseconds,
            **address.security,
        }

    def connection(self, host: str, port: int, closed: Callable[[], None]) -> Connection:
        """Not yet connected; tells when it ends."""

        def on_close(*_: object) -> None:
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
        # A request to join is answered when everybody else has drained: as late as that.
        joining = round((settings.drain + _JOIN) * 1000)
        options: dict[str, Any] = {
            **self.common,
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
        }
        if assignors:
            options["partition_assignment_strategy"] = assignors
        made = AIOKafkaConsumer(**options)
        return cast("Consumer", made)

    async def producer(self) -> Producer:
        """Started; `NotConnected` in time. What it confirmed is on every replica that is in sync, once."""
        made = AIOKafkaProducer(
            **self.common, acks="all", enable_idempotence=True, max_batch_size=_BATCH_BYTES, max_request_size=2**21
        )
        producer = cast("Producer", made)
        await self.start(producer)
        return producer

    async def start(self, client: Consumer | Producer) -> None:
        """Start it, or end it; `NotConnected` in time."""
        try:
            async with translated(self._settings.timeout):
                await client.start()
        except BaseException:
            await self.end(client, seconds=0)
            raise

    async def commit(self, consumer: Consumer, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Commit in time, or go on without waiting: the library tries for ever, and must not be stopped while it asks.

        Raises the library's own `CommitFailedError` or `IllegalStateError` for partitions that are somebody else's.
        """
        task = asyncio.get_running_loop().create_task(consumer.commit(offsets))
        self._commits[consumer].add(task)
        task.add_done_callback(self._commits[consumer].discard)
        task.add_done_callback(_seen)
        await asyncio.wait([task], timeout=self.timeout)
        if not task.done():
            raise NotConnected(f"Kafka took no commit within {self.timeout:g} s")
        if isinstance(error := task.exception(), CommitFailedError | IllegalStateError):
            raise error
        if error is not None:
            raise translate(error) from error

    async def end(self, client: Consumer | Producer, *, seconds: float | None = None) -> None:
        """Stop it; after so many seconds it goes on stopping by itself, until the cluster is back or gives it up."""
        task = asyncio.get_running_loop().create_task(self._stop(client))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        await asyncio.wait([task], timeout=self._settings.timeout if seconds is None else seconds)

    async def close(self) -> None:
        """Let go of those that are still ending."""
        for task in tuple(self._leaving):
            task.cancel()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=1)

    async def _stop(self, client: Consumer | Producer) -> None:
        with suppress(Exception, asyncio.CancelledError):
            await client.stop()
        for task in self._commits.pop(client, ()):
            task.cancel()
        if isinstance(client, AIOKafkaProducer) and (sender := client._sender.sender_task) is not None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            # While the broker is down an idempotent producer goes on for ever, and its own `stop` waits for that.
            sender.cancel()
            with suppress(Exception):
                await client.client.close()


def _seen(task: "asyncio.Task[None]") -> None:
    """Nobody asks for an answer that came too late."""
    if not task.cancelled():
        task.exception()
