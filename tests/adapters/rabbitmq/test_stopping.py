"""Callers who do not wait for a feed to stop.

A channel's number belongs to the next channel as soon as the broker has closed the first. What is settled too late must
not be said about the deliveries of the other.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace

import pytest

from brokers import RabbitMQ
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled, Recorder
from events_core.conformance.stage import Stage
from events_core.errors import ConnectionLost
from events_core.integration import Registration
from events_core.ports import Alert, Delivery, Feed, Revoked, Settled, Settlement, Subscription, Verdict, Wire
from events_rabbitmq import RabbitMQTransport

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

WINDOW = 5
MOMENTS = [1, 3, 6, 25]
"""Turns of the event loop after which a caller gives up: at each of the first awaits, and around the broker's answer."""


def ignore(notice: Revoked | Alert) -> None:
    """Nothing to be told here."""


async def given_up(work: Coroutine[object, object, None], turns: int) -> None:
    """Begin it, and cancel it after some turns of the event loop."""
    task = asyncio.create_task(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def received(stage: Stage, feed: Feed, number: int) -> list[Delivery]:
    """So many deliveries."""
    found: list[Delivery] = []
    while len(found) < number:
        async with asyncio.timeout(stage.patience):
            found += await feed.receive(number - len(found))
    return found


async def accepted_late(feed: Feed, deliveries: list[Delivery]) -> set[str]:
    """The ids of those that the feed says are settled."""
    try:
        answers = await feed.settle([Settlement(each, Verdict.ACCEPT) for each in deliveries])
    except ConnectionLost:
        return set()
    told = zip(deliveries, answers, strict=True)
    return {each.wire.headers["id"] for each, answer in told if answer is Settled.DONE}


async def until_seen(stage: Stage, feed: Feed, ids: set[str]) -> None:
    """Return when the feed has handed out all of these, and nothing else."""
    missing = set(ids)
    try:
        while missing:
            seen = {each.wire.headers["id"] for each in await stage.receive(feed)}
            assert seen <= ids, "what was said to be settled comes again"
            missing -= seen
    except TimeoutError:
        raise AssertionError(f"lost: {missing}") from None


@pytest.mark.parametrize("turns", MOMENTS)
async def test_a_late_accept_on_a_feed_whose_stop_was_cancelled_settles_nothing_else(
    stage: Stage, rabbitmq: RabbitMQ, turns: int
) -> None:
    transport, after = RabbitMQTransport(rabbitmq.url), RabbitMQTransport(rabbitmq.url)
    await transport.open(ignore)
    await after.open(ignore)
    subscription = Subscription(consumer="first", topic=stage.topic, types=frozenset({Noted.type}), window=WINDOW)
    feed = await transport.subscribe(subscription)
    wires = [Wire({"id": str(n), "type": Noted.type}, b"{}") for n in range(2 * WINDOW)]
    assert await transport.publish(stage.topic, wires) == [None] * len(wires)
    first = await received(stage, feed, WINDOW)
    await given_up(feed.stop(), turns)
    # Round trips on the same connection: the broker has closed the channel, and its number is free.
    for _ in range(5):
        await feed.lag()
    second = await transport.subscribe(subscription)
    await received(stage, second, WINDOW)
    settled = await accepted_late(feed, first)
    assert await transport.publish(stage.topic, [Wire({"id": "fence", "type": Noted.type}, b"{}")]) == [None]
    await transport.close()
    everything = await after.subscribe(replace(subscription, window=100))
    await until_seen(stage, everything, {"fence", *(str(n) for n in range(2 * WINDOW))} - settled)
    await after.remove(subscription, force=True)
    await after.close()


@pytest.mark.parametrize("turns", MOMENTS)
async def test_a_registration_whose_removal_was_cancelled_takes_nothing_from_the_next_one(
    stage: Stage, turns: int
) -> None:
    gate = asyncio.Event()

    async def wait(call: Handled) -> None:
        await gate.wait()

    async def never(call: Handled) -> None:
        await asyncio.get_running_loop().create_future()

    old, new, last = stage.recorder(act=wait), stage.recorder(act=never), stage.recorder()
    leaving = Registration(old, stage.topic, concurrency=WINDOW, prefetch=WINDOW)
    process = await stage.process(leaving)
    await stage.send_numbers(*range(2 * WINDOW))
    await old.begin(WINDOW)
    await given_up(process.bus.unregister(leaving), turns)
    await process.bus.register(Registration(new, stage.topic, concurrency=2 * WINDOW))
    await new.begin(WINDOW)
    gate.set()
    await old.count(WINDOW)
    # A round trip on the connection: what was settled late was read by the broker.
    await process.bus.health()
    await process.kill()
    await stage.consume(last)
    await last.see(*(set(range(2 * WINDOW)) - set(old.numbers)))


async def test_what_a_cancelled_removal_left_unbegun_is_handled_by_others(stage: Stage) -> None:
    gate = asyncio.Event()

    async def wait(call: Handled) -> None:
        await gate.wait()

    for turns in MOMENTS:
        stage.topic = stage.new_topic()
        gate.clear()
        old, new = stage.recorder(act=wait), stage.recorder()
        leaving = Registration(old, stage.topic, concurrency=1, prefetch=WINDOW)
        process = await stage.process(leaving)
        await stage.send_numbers(*range(2 * WINDOW))
        await old.begin(1)
        await given_up(process.bus.unregister(leaving), turns)
        await stage.consume(new)
        gate.set()

        async def all_are_handled(old: Recorder = old, new: Recorder = new) -> bool:
            return set(old.numbers) | set(new.numbers) == set(range(2 * WINDOW))

        await stage.until(all_are_handled, f"everything handled after {turns} turns")
