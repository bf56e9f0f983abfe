import asyncio
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from events_core import InMemoryEventBus, Registration, Topic
from events_core.testing import TestBus
from tests.unit.integration.scene import ORDERS, Placed, Recorder

pytestmark = pytest.mark.anyio

WORKER = """
    import asyncio
    from events_core import EventHandlerConsumer, InMemoryEventBus, IntegrationEvent, Registration, Topic

    class Started(IntegrationEvent):
        type = "worker.started"
        version = 1

    async def slow(event: Started) -> None:
        print("ready", flush=True)
        await asyncio.sleep(SECONDS)
        print("handled", flush=True)

    async def main() -> None:
        topic = Topic("work")
        bus = InMemoryEventBus(source="w", registrations=[Registration(EventHandlerConsumer("w", {Started: [slow]}), topic)])
        running = asyncio.ensure_future(bus.run())
        while not (await bus.health()).ready:
            await asyncio.sleep(0)
        await bus.send(topic, Started())
        await running
        print("drained", flush=True)

    asyncio.run(main())
"""


def worker(seconds: str) -> "subprocess.Popen[str]":
    code = textwrap.dedent(WORKER).replace("SECONDS", seconds)
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_sigterm_drains_a_worker() -> None:
    with worker("1") as process:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert (output, process.returncode) == ("handled\ndrained\n", 0)


def test_a_second_signal_ends_a_worker_that_drains() -> None:
    with worker("60") as process:
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        output, _ = process.communicate(timeout=60)
    assert (output, process.returncode) == ("", -signal.SIGTERM)


async def test_starting_and_ending_twice_and_in_any_order_is_fine() -> None:
    bus = InMemoryEventBus(source="s")
    await bus.shutdown()
    await asyncio.gather(bus.startup(), bus.startup())
    await bus.startup()
    assert (await bus.health()).ready
    await asyncio.gather(bus.shutdown(), bus.shutdown())
    assert not (await bus.health()).ready


async def test_a_bus_is_started_in_one_task_ended_in_another_and_starts_again() -> None:
    recorder = Recorder()
    bus = TestBus(Registration(recorder, ORDERS))
    for number in (1, 2):
        await asyncio.create_task(bus.startup())
        await bus.send(ORDERS, Placed(order=str(number)))
        await bus.idle()
        await asyncio.create_task(bus.shutdown())
    assert recorder.got == [Placed(order="1"), Placed(order="2")]


async def test_health_tells_progress() -> None:
    recorder = Recorder()
    async with TestBus(Registration(recorder, ORDERS)) as bus:
        assert (await bus.health()).subscriptions[0].last_received is None
        await bus.send(ORDERS, Placed())
        await bus.clock.advance(7)
        (told,) = (await bus.health()).subscriptions
    assert (told.consumer, told.topic, told.connected, told.solo) == ("recorder", "orders", True, False)
    assert (told.held, told.running, told.last_received, told.lag) == (0, (), 7.0, 0)


async def test_a_broadcast_member_whose_window_is_full_reports_the_gap() -> None:
    async def wait(event: object, context: object) -> None:
        await bus.clock.sleep(10)

    recorder = Recorder(act=wait)
    topic = Topic("prices")
    one = Registration(recorder, topic, broadcast=True, concurrency=1, prefetch=2)
    async with TestBus(one) as bus:
        for _ in range(5):
            await bus.send(topic, Placed())
        await bus.clock.advance(30)
        await bus.send(topic, Placed())
        await bus.clock.advance(10)
        (alert,) = (await bus.health()).alerts
    assert len(recorder.got) == 3
    assert (alert.subject, alert.detail) == ("recorder.prices", "3 events found the window of 2 full")
