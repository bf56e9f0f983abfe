"""What a bus does when it is used twice, out of order, or wrongly."""

import asyncio

import pytest

from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.errors import DuplicateRegistration, NotConnected, NotStarted
from events_core.integration import Registration
from events_core.ports import Subscription

__all__ = ["Errors"]


class Errors(Scenarios):
    """Twice, in any order, from different tasks."""

    async def test_starting_and_stopping_twice_or_at_the_same_time_is_fine(self, stage: Stage) -> None:
        recorder = stage.recorder()
        bus = stage.unstarted(Registration(recorder, stage.topic))
        await bus.shutdown()
        await asyncio.gather(bus.startup(), bus.startup())
        await bus.startup()
        await stage.fence(recorder)
        await asyncio.gather(bus.shutdown(), bus.shutdown())
        await bus.shutdown()
        assert len(recorder.begun) == 1

    async def test_a_bus_can_be_started_again(self, stage: Stage) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await process.bus.shutdown()
        await stage.send_numbers(1)
        await process.bus.startup()
        await recorder.see(1)
        await process.bus.send(stage.topic, recorder.done[0].event)
        await recorder.count(2)

    async def test_one_consumer_is_registered_on_a_topic_once(self, stage: Stage) -> None:
        registration = Registration(stage.recorder(), stage.topic)
        process = await stage.process(registration)
        with pytest.raises(DuplicateRegistration):
            await process.bus.register(Registration(stage.recorder(), stage.topic))
        assert process.bus.registrations == (registration,)

    async def test_removing_before_startup_is_refused(self, stage: Stage) -> None:
        with pytest.raises(NotStarted):
            await stage.unstarted().delete_subscription("first", stage.topic)

    async def test_a_closed_transport_says_so_and_is_closed_twice_without_harm(self, stage: Stage) -> None:
        process = await stage.process()
        await process.transport.close()
        await process.transport.close()
        with pytest.raises(NotConnected):
            await process.transport.subscribe(Subscription(consumer="first", topic=stage.topic))
        with pytest.raises(NotConnected):
            await process.transport.remove(Subscription(consumer="first", topic=stage.topic))

    async def test_the_health_of_a_bus_follows_its_life(self, stage: Stage) -> None:
        bus = stage.unstarted(Registration(stage.recorder(), stage.topic))
        assert not (await bus.health()).ready
        await bus.startup()
        health = await bus.health()
        assert (health.live, health.ready, [each.connected for each in health.subscriptions]) == (True, True, [True])
        await bus.shutdown()
        assert not (await bus.health()).ready
