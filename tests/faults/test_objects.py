"""Objects on the broker that somebody else deleted, or put in the way."""

import pytest

from events_core.errors import TopologyMismatch
from events_core.ports import AlertKind
from tests.faults.events import Work
from tests.faults.platforms import needed
from tests.faults.scene import PATIENCE, Scene

pytestmark = pytest.mark.anyio


async def test_a_subscription_deleted_underneath_is_made_anew_and_reported(scene: Scene) -> None:
    delete = needed(scene.platform.delete_subscription, scene.platform, "way to delete a subscription underneath")
    bus = await scene.connect(scene.url, scene.registration())
    await scene.send(*(Work(number=n) for n in range(5)))
    await scene.journal.count("handled", 5, within=PATIENCE)
    await delete(scene.broker, "first", scene.topic.name)
    await scene.until_alert(bus, AlertKind.RECREATED)
    await scene.send(*(Work(number=n) for n in range(5, 10)))
    account = await scene.settled()
    assert account.duplicates == 0
    assert (await bus.health()).ready


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
