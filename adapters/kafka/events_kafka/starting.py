"""Where a subscription begins, and whether it may end."""

from aiokafka.errors import CommitFailedError  # type: ignore[import-untyped]

from events_core.errors import SubscriptionNotEmpty
from events_kafka.clients import Clients
from events_kafka.errors import translated
from events_kafka.lane import State
from events_kafka.link import Link
from events_kafka.topology import Names

__all__ = ["fix_start", "refuse_backlog"]


async def fix_start(clients: Clients, link: Link, names: Names, *, earliest: bool, anew: bool) -> bool:
    """Commit where a group without any commit begins, or where it begins `anew`; whether that was to be done.

    What is committed by one that is no member is refused while there are members, who have fixed it before.
    """
    if not anew and names.topic in {partition.topic for partition in await link.committed(names.group)}:
        return False
    partitions = await link.partitions(names.topic)
    consumer = clients.consumer(names.group)
    await clients.start(consumer)
    try:
        async with translated(clients.timeout):
            consumer.assign(partitions)
            ask = consumer.beginning_offsets if earliest else consumer.end_offsets
            offsets = await ask(partitions)
        await clients.commit(consumer, {partition: (offset, "") for partition, offset in offsets.items()})
    except CommitFailedError:
        return False
    finally:
        await clients.end(consumer, seconds=1)
    return True


async def refuse_backlog(clients: Clients, link: Link, names: Names, letters: int) -> None:
    """Raise `SubscriptionNotEmpty` for what is unread, unsettled, waiting or dead."""
    there = await link.topics()
    backlog = letters
    consumer = clients.consumer()
    await clients.start(consumer)
    try:
        committed = await link.committed(names.group)
        partitions = [each for topic in (names.topic, *names.steps(there)) for each in await link.partitions(topic)]
        async with translated(clients.timeout):
            ends = await consumer.end_offsets(partitions)
            begins = await consumer.beginning_offsets(partitions)
        for partition, end in ends.items():
            state = State(committed.get(partition, (begins[partition], "")))
            backlog += max(0, end - max(state.to, begins[partition])) + len(state.starts)
    finally:
        await clients.end(consumer, seconds=1)
    if backlog:
        raise SubscriptionNotEmpty(f"{names.group} still holds {backlog} events; handle them, or force")
