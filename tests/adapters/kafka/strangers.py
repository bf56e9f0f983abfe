"""What others do to the broker, with aiokafka and nothing of ours."""

# pyright: basic
# aiokafka comes without types: what is used of it gets its types here.

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from aiokafka.conn import AIOKafkaConnection  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]

__all__ = [
    "ANSWERS_WITHIN",
    "Committed",
    "Record",
    "commit",
    "committed",
    "configured",
    "delete_topic",
    "knows",
    "make_topic",
    "nodes",
    "partitions",
    "publish",
    "records",
    "replicas",
    "topics",
]

ANSWERS_WITHIN = 10.0
Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer)
NO_HEADERS: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """What stands in a partition."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Committed:
    """Where a group is in a partition."""

    offset: int
    metadata: str


def address(url: str) -> str:
    """What clients of Kafka call the bootstrap server."""
    return urlsplit(url).netloc.rpartition("@")[2]


async def publish(
    url: str,
    topic: str,
    value: bytes | None,
    *,
    key: bytes | None = None,
    headers: Mapping[str, bytes] = NO_HEADERS,
    partition: int | None = None,
) -> None:
    """Publish one record, and wait until it is stored."""
    async with running(AIOKafkaProducer(bootstrap_servers=address(url), acks="all")) as producer:
        await producer.send_and_wait(topic, value, key=key, headers=list(headers.items()), partition=partition)


async def records(url: str, topic: str) -> Sequence[Record]:
    """All that the topic holds, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address(url), enable_auto_commit=False, auto_offset_reset="earliest")
    places = [TopicPartition(topic, number) for number in range(await partitions(url, topic))]
    async with running(consumer):
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        read: list[Record] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                read += [Record(m.key, m.value, dict(m.headers), m.partition, m.offset) for m in batch]
    return sorted(read, key=lambda each: (each.partition, each.offset))


async def nodes(url: str) -> int:
    """How many of the cluster's nodes are up, as far as any of them answers."""
    try:
        async with administration(url) as admin:
            return len((await admin.describe_cluster())["brokers"])
    except (KafkaError, TimeoutError):
        return 0


async def knows(address: str, topic: str) -> bool:
    """Whether this node has heard of it."""
    host, _, port = address.partition(":")
    connection = AIOKafkaConnection(host, int(port))
    await connection.connect()
    try:
        told: Any = await connection.send(MetadataRequest([topic], allow_auto_topic_creation=False))
        return bool(told.topics[0][0] != UnknownTopicOrPartitionError.errno)
    finally:
        connection.close()


async def topics(url: str) -> Mapping[str, int]:
    """Every topic with the number of its partitions."""
    async with administration(url) as admin:
        return {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}


async def partitions(url: str, topic: str) -> int:
    """How many a topic has; 0 when there is no such topic."""
    return (await topics(url)).get(topic, 0)


async def replicas(url: str, topic: str) -> int:
    """How many copies there are of each of its partitions, at least."""
    async with administration(url) as admin:
        (told,) = await admin.describe_topics([topic])
        return min(len(each["replicas"]) for each in told["partitions"])


async def make_topic(url: str, topic: str, *, partitions: int = 1, replicas: int = 1, **configuration: str) -> None:
    """Create it."""
    async with administration(url) as admin:
        answer: Any = await admin.create_topics(
            [
                NewTopic(
                    topic,
                    partitions,
                    replicas,
                    topic_configs={k.replace("_", "."): v for k, v in configuration.items()},
                )
            ]
        )
        check(answer.topic_errors)


async def delete_topic(url: str, topic: str) -> None:
    """Delete it; one that is not there is gone already."""
    async with administration(url) as admin:
        try:
            answer: Any = await admin.delete_topics([topic])
            check(answer.topic_error_codes)
        except UnknownTopicOrPartitionError:
            return


async def configured(url: str, topic: str) -> Mapping[str, str]:
    """Its settings."""
    async with administration(url) as admin:
        answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        (answer,) = answers
        ((_, _, _, _, entries),) = answer.resources
        return {name: value for name, value, *_ in entries}


async def committed(url: str, group: str) -> Mapping[tuple[str, int], Committed]:
    """Where the group is, by topic and partition."""
    async with administration(url) as admin:
        offsets = await admin.list_consumer_group_offsets(group)
        return {(place.topic, place.partition): Committed(at.offset, at.metadata) for place, at in offsets.items()}


async def commit(url: str, group: str, topic: str, offset: int, metadata: str) -> None:
    """Have a group without members be there in partition 0."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address(url), enable_auto_commit=False, group_id=group)
    async with running(consumer):
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        await consumer.commit({place: (offset, metadata)})


@asynccontextmanager
async def running(client: Client) -> AsyncGenerator[Client]:
    """The client started; it is stopped also where it did not start."""
    async with asyncio.timeout(ANSWERS_WITHIN):
        try:
            await client.start()
            yield client
        finally:
            await stop(client)


async def stop(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop it; its own cancelled tasks are nobody else's matter."""
    try:
        await client.stop()
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise


@asynccontextmanager
async def administration(url: str) -> AsyncGenerator[AIOKafkaAdminClient]:
    """A client for what operators do."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address(url))
    async with asyncio.timeout(ANSWERS_WITHIN):
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


def check(answers: Sequence[Sequence[Any]]) -> None:
    """Raise what one of the answers says."""
    for _, code, *words in answers:
        if code:
            raise for_code(code)(*words)
