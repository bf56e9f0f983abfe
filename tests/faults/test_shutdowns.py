"""Processes that are told to end while the broker does not answer."""

import pytest

from tests.faults.events import Work
from tests.faults.scene import PATIENCE, Scene

pytestmark = pytest.mark.anyio

IN_TIME = 45.0
"""Seconds: a worker's deadline, and what closing may take where the broker says nothing."""


async def test_processes_end_while_the_broker_is_frozen_and_nothing_is_lost(scene: Scene) -> None:
    broker = scene.broker
    gate = scene.gate("closed")
    consumer = await scene.consumer(gate, concurrency=5, prefetch=50)
    sender = await scene.sender(in_flight=10, timeout=4.0)
    await scene.send(*(Work(number=n, hold=True) for n in range(3)))
    await scene.journal.count("handled", scene.random.randint(200, 500), within=PATIENCE)
    broker.freeze()
    try:
        gate.touch()
        consumer.terminate()
        sender.terminate()
        codes = [await each.ended(IN_TIME) for each in (sender, consumer)]
    finally:
        broker.resume()
    assert codes == [0, 0]
    await scene.consumer()
    await scene.settled()
