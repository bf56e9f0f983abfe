"""Objects on the broker that somebody else deleted, or put in the way."""

import asyncio

import pytest

from events_core.errors import TopologyMismatch
from events_core.ports import AlertKind
from tests.faults.account import early
from tests.faults.events import Work
from tests.faults.platforms import needed
from tests.faults.scene import PATIENCE, Scene

pytestmark = pytest.mark.anyio

TAKEN_OUT = 6.0
"""Seconds of a step that the next version of a service has no more."""


async def test_a_subscription_deleted_underneath_is_made_anew_and_reported(scene: Scene) -> None:
    delete = needed(scene.platform.delete_subscription, scene.platform, "way to delete a subscription underneath")
    bus = await scene.connect(scene.url, scene.registration())
    await scene.send(*(Work(number=n) for n in range(5)))
    await scene.journal.count("handled", 5, within=PATIENCE)
    await delete(scene.broker, "first", scene.topic.name)
    await scene.until_alert(bus, AlertKind.RECREATED)
    await scene.send(*(Work(number=n) for n in range(5, 10)))
    account = await scene.settled()
    # A broker that still has what was handled, and no longer knows that it was, hands it out again.
    assert account.duplicates <= 5
    assert (await bus.health()).ready


async def test_a_broker_that_was_emptied_is_set_up_anew_and_reported(scene: Scene) -> None:
    wipe = needed(scene.platform.wipe, scene.platform, "command to forget everything")
    gate = scene.gate("in hand")
    bus = await scene.connect(scene.url, scene.registration(gate=gate))
    await scene.send(*(Work(number=n, hold=True) for n in range(5)))
    await scene.journal.count("begun", 5, within=PATIENCE)
    await wipe(scene.broker)
    await scene.until_alert(bus, AlertKind.RECREATED)
    gate.touch()
    await scene.journal.count("handled", 5, within=PATIENCE)
    *_, rejected = await scene.send(*(Work(number=n, failures=n % 2, reject=n == 24) for n in range(5, 25)))
    (letter,) = await scene.dead_letters(1)
    assert letter.id == rejected
    await scene.settled([rejected])
    assert (await bus.health()).ready


async def test_a_topic_deleted_underneath_is_made_anew_and_what_waits_for_its_retry_comes_back(scene: Scene) -> None:
    delete = needed(scene.platform.delete_topic, scene.platform, "topic that consumers make again")
    bus = await scene.connect(scene.url, scene.registration())
    await scene.send(*(Work(number=n) for n in range(5)))
    await scene.journal.count("handled", 5, within=PATIENCE)
    waiting = await scene.send(*(Work(number=n, failures=1) for n in range(5, 10)))
    await scene.journal.count("failed", 5, within=PATIENCE)
    await scene.until_settled(bus)
    await delete(scene.broker, scene.topic.name)
    await scene.until_alert(bus, AlertKind.RECREATED)
    await asyncio.gather(*(scene.send_stubbornly(scene.bus, Work(number=n), f"after-{n}") for n in range(10, 30)))
    account = await scene.settled()
    assert account.handled.keys() >= set(waiting)
    assert early(scene.journal, 1.0) == []
    assert (await bus.health()).ready


async def test_a_retry_that_waits_on_a_step_taken_out_of_the_ladder_comes_back_in_time(scene: Scene) -> None:
    _ = scene.broker
    before = await scene.consumer(delays=(TAKEN_OUT, 60.0))
    waiting = set(await scene.send(*(Work(number=n, failures=1) for n in range(20))))
    await scene.journal.count("failed", 20, within=PATIENCE)
    before.terminate()
    assert await before.ended(PATIENCE) == 0
    await scene.consumer(delays=(1.0,))
    await scene.send(*(Work(number=n, failures=1) for n in range(20, 30)))
    await scene.settled()
    handled = [entry for entry in scene.journal.of("handled") if entry.id in waiting]
    assert {entry.attempt for entry in handled} == {2}
    assert early(scene.journal, 1.0) == []
    assert [late for late in early(scene.journal, TAKEN_OUT) if late.split()[0] in waiting] == []


async def test_an_object_in_the_way_stops_its_own_registration_only(scene: Scene) -> None:
    occupy = needed(scene.platform.occupy, scene.platform, "object that could be in the way")
    bus = await scene.connect(scene.url, scene.registration("second"))
    await occupy(scene.broker, "first", scene.topic.name)
    with pytest.raises(TopologyMismatch, match="first"):
        await bus.register(scene.registration("first"))
    await scene.send(*(Work(number=n) for n in range(20)))
    account = await scene.settled()
    assert account.duplicates == 0
    assert [each.connected for each in (await bus.health()).subscriptions] == [True]
