"""The connection between a process and its broker."""

import asyncio

import pytest

from events_core.errors import OutcomeUnknown
from tests.faults.events import Work
from tests.faults.scene import PATIENCE, Scene
from tests.faults.waiting import until

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


async def test_a_reset_while_the_confirm_is_on_its_way_leaves_the_outcome_unknown_or_stores_once(scene: Scene) -> None:
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
    async with asyncio.timeout(5):
        await ended(sending, "on-its-way", stored=scene.platform.resends)
    await scene.try_sending(bus, Work(number=2))
    account = await scene.settled()
    assert account.duplicates == 0


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
    assert await scene.send_stubbornly(bus, Work(number=1), "once-more") == "once-more"
    await scene.journal.until(
        lambda: [entry.id for entry in scene.journal.of("handled")].count("once-more") >= 2,
        within=PATIENCE,
        hope="both copies are handled",
    )
    account = await scene.settled()
    assert account.handled.keys() == set(account.confirmed)


async def test_what_was_handed_out_in_an_answer_that_got_lost_is_handled_by_the_same_process(scene: Scene) -> None:
    proxy = await scene.proxy()
    consumer = await scene.consumer(url=scene.through(proxy), prefetch=50)
    await scene.send(Work(number=0))
    await scene.journal.count("handled", 1, within=PATIENCE)
    proxy.down = "drop"
    lost = proxy.dropped["down"] + scene.random.randint(300, 1_000)
    await scene.send(*(Work(number=n, padding="." * 1_000) for n in range(1, 51)))
    await until(lambda: proxy.dropped["down"] >= lost, within=PATIENCE, hope=lambda: "deliveries are swallowed")
    proxy.reset()
    proxy.down = "pass"
    account = await scene.settled()
    assert account.handled.keys() == set(account.confirmed)
    assert {entry.process for entry in scene.journal.of("handled")} == {consumer.pid}


async def ended(sending: asyncio.Task[str], event_id: str, *, stored: bool) -> None:
    """Wait for the end of a send: stored, or nobody knows."""
    if stored:
        assert await sending == event_id
        return
    with pytest.raises(OutcomeUnknown) as caught:
        await sending
    assert caught.value.event_id == event_id
