"""The connection between a process and its broker."""

import asyncio
import time
from contextlib import suppress

import pytest

from events_core import IntegrationEventBus
from events_core.errors import OutcomeUnknown
from tests.faults.events import Work
from tests.faults.scene import PATIENCE, Scene

pytestmark = pytest.mark.anyio


async def test_a_connection_reset_cancels_no_handler_and_consuming_resumes(scene: Scene) -> None:
    proxy = await scene.proxy()
    gate = scene.gate("first")
    consumer = await scene.consumer(gate, url=scene.through(proxy), concurrency=20)
    await scene.send(*(Work(number=n, hold=True) for n in range(5)))
    await scene.journal.count("begun", 5, within=PATIENCE)
    proxy.reset()
    quick = set(await scene.send(*(Work(number=n) for n in range(5, 50))))
    await scene.journal.until(
        lambda: scene.journal.ids("handled") == quick, within=PATIENCE, hope="others pass those that are still running"
    )
    gate.touch()
    account = await scene.settled()
    assert account.duplicates <= 5
    assert scene.journal.of("cancelled") == []
    assert consumer.running


async def test_a_reset_while_the_confirm_is_on_its_way_leaves_the_outcome_unknown(scene: Scene) -> None:
    proxy = await scene.proxy()
    await scene.consumer()
    bus = await scene.connect(scene.through(proxy))
    await scene.try_sending(bus, Work(number=0))
    proxy.down = "hold"
    sending = asyncio.create_task(scene.try_sending(bus, Work(number=1), id="on-its-way", timeout=20.0))
    await scene.journal.until(
        lambda: "on-its-way" in scene.journal.ids("handled"), within=PATIENCE, hope="it is stored"
    )
    assert not sending.done()
    proxy.reset()
    proxy.down = "pass"
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown) as caught:
        await sending
    assert time.monotonic() - began < 5
    assert caught.value.event_id == "on-its-way"
    await scene.try_sending(bus, Work(number=2))
    await scene.settled()


async def test_an_event_whose_confirm_was_lost_keeps_its_id_when_it_is_sent_again(scene: Scene) -> None:
    proxy = await scene.proxy()
    await scene.consumer()
    bus = await scene.connect(scene.through(proxy))
    await scene.try_sending(bus, Work(number=0))
    proxy.down = "drop"
    with pytest.raises(OutcomeUnknown) as caught:
        await scene.try_sending(bus, Work(number=1), id="once-more", timeout=2.0)
    assert caught.value.event_id == "once-more"
    proxy.reset()
    proxy.down = "pass"
    assert await stubbornly(scene, bus, Work(number=1), "once-more") == "once-more"
    await scene.journal.until(
        lambda: [entry.id for entry in scene.journal.of("handled")].count("once-more") >= 2,
        within=PATIENCE,
        hope="both copies are handled",
    )
    account = await scene.settled()
    assert account.handled.keys() == set(account.confirmed)


async def stubbornly(scene: Scene, bus: IntegrationEventBus, event: Work, event_id: str) -> str:
    """Send until it is confirmed: whether a connection is gone is only known when it is used."""
    while True:
        with suppress(OutcomeUnknown):
            return await scene.try_sending(bus, event, id=event_id)
