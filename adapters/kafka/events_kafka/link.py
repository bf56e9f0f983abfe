"""The way to the cluster: a connection that tells at once when it breaks, and the requests that are made seldom."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from aiokafka.errors import GroupIdNotFound, KafkaError, for_code  # type: ignore[import-untyped]
from aiokafka.protocol.admin import DeleteGroupsRequest  # type: ignore[import-untyped]
from aiokafka.protocol.group import LeaveGroupRequest  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]

from events_core.errors import EventsError, NotConnected, SubscriptionNotEmpty
from events_kafka.clients import Clients
from events_kafka.errors import translated
from events_kafka.library import Connection, Partition, partition_of

__all__ = ["Committed", "Link"]

T = TypeVar("T")
Committed = tuple[int, str]
"""An offset, and what was noted with it."""

_PULSE: Final = 1.0
"""Seconds between two looks whether the cluster is there."""
_AGAIN: Final = 0.1
_LOOK: Final = 0.02
_UNKNOWN_TOPIC: Final = 3
_BROKEN: Final = "the connection to Kafka broke"


class Link:
    """Ends with its connection. `lost` is told why; `gone` which of the `watched` topics are no longer there."""

    def __init__(
        self, clients: Clients, timeout: float, *, lost: Callable[[str], None], gone: Callable[[set[str]], None]
    ) -> None:
        self._clients = clients
        self._lost = lost
        self._gone = gone
        self._connection: Connection | None = None
        self._admin: Any = None
        self._pulse: asyncio.Task[None] | None = None
        self._ended = False
        self.timeout: Final = timeout
        self.watched: set[str] = set()

    async def open(self) -> None:
        """Dial the servers, one after the other. Raises `NotConnected`, or `AccessRefused` where they say so."""
        self._connection = await self._dial()
        try:
            async with translated(self.timeout):
                self._admin = await self._clients.admin()
        except BaseException:
            await self.close()
            raise
        if self._ended:
            await self.close()
            raise NotConnected(_BROKEN)
        self._pulse = asyncio.get_running_loop().create_task(self._beat())

    async def _dial(self) -> Connection:
        error: EventsError = NotConnected("no Kafka server was named")
        for host, port in self._clients.address.servers:
            connection = self._clients.connection(host, port, self._break)
            try:
                async with translated(self.timeout):
                    await connection.connect()
            except NotConnected as failure:
                error = failure
            else:
                self._clients.begin_at(host, port)
                return connection
        raise error

    async def close(self) -> None:
        """Disconnect."""
        self._ended = True
        if self._pulse is not None:
            self._pulse.cancel()
        if self._connection is not None and (closed := self._connection.close()) is not None:
            await asyncio.wait([closed], timeout=1)
        if self._admin is not None:
            await self._clients.end(self._admin, seconds=1)

    async def ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """Ask the administration until it has an answer: a coordinator that is being elected has none yet."""
        async with translated(self.timeout):
            while True:
                try:
                    return await question(self._admin)
                except KafkaError as error:
                    if not error.retriable or self._ended:
                        raise
                await asyncio.sleep(_AGAIN)

    async def nodes(self) -> Sequence[int]:
        """Those that are up: at least one. A cluster that just began to answer, or was frozen, may know of none."""
        async with translated(self.timeout):
            while not (up := (await self.ask(lambda admin: admin.describe_cluster()))["brokers"]):  # noqa: ASYNC110 a broker sets no asyncio.Event
                await asyncio.sleep(_AGAIN)
            return [each["node_id"] for each in up]

    async def topics(self) -> Mapping[str, Sequence[Sequence[int]]]:
        """The replicas of each partition of each topic."""
        told = await self.ask(lambda admin: admin.describe_topics())
        return {each["topic"]: [sorted(p["replicas"]) for p in each["partitions"]] for each in told}

    async def known(self, topics: Sequence[str], nodes: Sequence[int]) -> None:
        """Return when each of these nodes that answers knows of these topics: any of them may be asked next."""
        request = MetadataRequest([*topics], allow_auto_topic_creation=False)

        async def are_known(admin: Any) -> bool:  # noqa: ANN401
            asked = (admin._client.send(node, request) for node in nodes)  # noqa: SLF001
            answers = await asyncio.gather(*asked, return_exceptions=True)
            told = [each for each in answers if not isinstance(each, BaseException)]
            return bool(told) and not any(map(_unknown, told))

        async with translated(self.timeout):
            while not await self.ask(are_known):  # noqa: ASYNC110 a broker sets no asyncio.Event
                await asyncio.sleep(_LOOK)

    async def partitions(self, topic: str) -> list[Partition]:
        """Those of a topic; none where there is no such topic."""
        return [partition_of(topic, number) for number in range(len((await self.topics()).get(topic, ())))]

    async def committed(self, group: str) -> Mapping[Partition, Committed]:
        """What a group has committed."""
        told = await self.ask(lambda admin: admin.list_consumer_group_offsets(group))
        return {tp: (each.offset, each.metadata) for tp, each in told.items() if each.offset >= 0}

    async def delete_topics(self, names: Sequence[str]) -> None:
        """Delete these, as far as they are there."""

        async def delete(admin: Any) -> None:  # noqa: ANN401
            response = await admin.delete_topics(list(names), timeout_ms=round(self.timeout * 1000))
            for name, code in response.topic_error_codes:
                if code not in {0, _UNKNOWN_TOPIC}:
                    raise for_code(code)(name)

        await self.ask(delete)

    async def delete_group(self, group: str, *, evicting: float) -> None:
        """Forget what a group has committed. Its members are evicted, for so many seconds: who stands still is one, too.

        Raises:
            SubscriptionNotEmpty: there are members still.
        """
        loop = asyncio.get_running_loop()
        latest = loop.time() + evicting
        while True:
            try:
                return await self.ask(lambda admin: _delete(admin, group, evict=evicting > 0))
            except SubscriptionNotEmpty:
                if loop.time() >= latest:
                    raise
            await asyncio.sleep(_AGAIN)

    def _break(self) -> None:
        # A server that was dialled in vain is no loss.
        if self._connection is not None and not self._ended:
            self._ended = True
            self._lost(_BROKEN)

    async def _beat(self) -> None:
        while self._connection is not None and not self._ended:
            watched = sorted(self.watched)
            try:
                async with translated(self.timeout):
                    told = await self._connection.send(MetadataRequest(watched, allow_auto_topic_creation=False))
            except EventsError as error:
                if not self._ended:
                    self._ended = True
                    self._connection.close()
                    self._lost(str(error))
                return
            if gone := _unknown(told):
                self.watched -= gone
                self._gone(gone)
            await asyncio.sleep(_PULSE)


def _unknown(told: Any) -> set[str]:  # noqa: ANN401
    """The topics of which a node says that there are none."""
    return {each[1] for each in told.topics if each[0] == _UNKNOWN_TOPIC}


async def _delete(admin: Any, group: str, *, evict: bool) -> None:  # noqa: ANN401
    node = await admin.find_coordinator(group)
    if evict:
        for answer in await admin.describe_consumer_groups([group], node):
            for member, *_ in answer.groups[0][5]:
                await admin._client.send(node, LeaveGroupRequest(group, member))  # noqa: SLF001
    response = await admin._client.send(node, DeleteGroupsRequest([group]))  # noqa: SLF001
    for _, code in response.results:
        error = for_code(code)
        if code and error is not GroupIdNotFound:
            raise error(group)
