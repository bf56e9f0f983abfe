"""The bus on Kafka beside plain aiokafka: the same node, the same events, confirmed and committed.

Run it on a quiet machine: `python -m benchmarks.kafka`. It starts a node of its own on this machine, which shares the cores
with it. Each round measures every variant once, one after the other; the medians are compared. All encode and decode with
msgspec; publishing (`acks=all`, idempotent, one partition) keeps 500 sends in flight, consuming holds 100 deliveries.
"""

# pyright: basic
# aiokafka comes without types.

import asyncio
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]

from benchmarks.measuring import EVENTS, ROUNDS, TEXT, WINDOW, Bare, Cost, concurrently, show, with_bus
from brokers import open_broker
from events_kafka import KafkaEventBus

SETUPS: Final = {"aiokafka, a commit each": 16_384, "aiokafka, a commit a read": 262_144}
"""How much a batch of the producer holds: the default, and what 500 sends in flight need."""


async def with_aiokafka(
    address: str, topic: str, sending: Cost, consuming: Cost, *, batch: int, together: bool
) -> None:
    """With a commit a read, or one an event."""
    encode = msgspec.json.Encoder().encode
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", enable_idempotence=True, max_batch_size=batch)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])

    async def send(number: int) -> None:
        await producer.send_and_wait(topic, encode(Bare(number, TEXT)), partition=0)

    await sending.of(concurrently(send))
    await consuming.of(consume(consumer, together=together))
    await consumer.stop()
    await producer.stop()
    await admin.delete_topics([topic])
    await admin.close()


async def consume(consumer: AIOKafkaConsumer, *, together: bool) -> None:
    decode, left = msgspec.json.Decoder(Bare).decode, EVENTS
    while left:
        for place, records in (await consumer.getmany(timeout_ms=1000, max_records=WINDOW)).items():
            for record in records:
                decode(record.value or b"")
                if not together:
                    await consumer.commit({place: record.offset + 1})
            left -= len(records)
            await consumer.commit({place: records[-1].offset + 1})


async def measure(url: str) -> None:
    address = url.removeprefix("kafka://")
    names = (*SETUPS, "bus")
    sending, consuming = ({name: Cost() for name in names} for _ in range(2))
    for number in range(ROUNDS):
        for name, batch in SETUPS.items():
            topic, together = f"plain.{number}.{batch}", name.endswith("read")
            await with_aiokafka(address, topic, sending[name], consuming[name], batch=batch, together=together)
        bus = KafkaEventBus(f"{url}?partitions=1", source="benchmark")
        await with_bus(bus, sending["bus"], consuming["bus"])
    print(f"Kafka, one node, {EVENTS:,} events of 250 bytes; medians of {ROUNDS} rounds")
    print("The producer's batches are of 16 KiB in the first variant, of 256 KiB in the second.")
    show("confirmed sends, 500 in flight", sending)
    show("handled and committed", consuming)


def main() -> None:
    with open_broker("kafka") as broker:
        asyncio.run(measure(broker.url))


if __name__ == "__main__":
    main()
