"""C3: how a subscription ends, and how it does not."""

import pytest

from events_core.conformance.events import Flagged, Noted
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.errors import ConfigurationError, SubscriptionNotEmpty
from events_core.integration import Registration
from events_core.ports import Wire

__all__ = ["Removing"]


class Removing(Scenarios):
    """Unregister, delete, retire."""

    async def test_unregistering_keeps_the_subscription_and_what_it_gathers(self, stage: Stage) -> None:
        recorder = stage.recorder()
        registration = Registration(recorder, stage.topic)
        process = await stage.process(registration)
        await process.bus.unregister(registration)
        await stage.send_numbers(1, 2, 3)
        await process.bus.register(registration)
        await recorder.see(1, 2, 3)

    async def test_a_subscription_with_a_backlog_is_deleted_only_by_force(self, stage: Stage) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await process.bus.shutdown()
        await stage.send_numbers(1)
        with pytest.raises(SubscriptionNotEmpty):
            await stage.sender.delete_subscription("first", stage.topic)
        await stage.sender.delete_subscription("first", stage.topic, force=True)
        await stage.consume(recorder)
        await stage.fence(recorder)
        assert 1 not in recorder.numbers

    async def test_a_subscription_with_a_dead_letter_is_deleted_only_by_force(self, stage: Stage) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await stage.publish(_malformed())
        await stage.dead_letters("first", 1)
        await process.bus.shutdown()
        with pytest.raises(SubscriptionNotEmpty):
            await stage.sender.delete_subscription("first", stage.topic)
        await stage.sender.delete_subscription("first", stage.topic, force=True)
        assert await stage.sender.dead_letters("first", stage.topic).list() == []

    async def test_deleting_a_subscription_that_is_not_there_is_fine(self, stage: Stage) -> None:
        await stage.sender.delete_subscription("nobody", stage.topic)

    async def test_a_subscription_that_is_registered_here_is_not_deleted(self, stage: Stage) -> None:
        process = await stage.consume(stage.recorder())
        with pytest.raises(ConfigurationError):
            await process.bus.delete_subscription("first", stage.topic, force=True)

    async def test_a_retired_type_is_no_longer_stored(self, stage: Stage) -> None:
        process = await stage.consume(stage.recorder(events=(Noted, Flagged)))
        await process.bus.shutdown()
        await stage.sender.retire("first", stage.topic, Flagged)
        await stage.send(Flagged(1))
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await stage.fence(recorder)
        await process.bus.shutdown()
        await stage.sender.delete_subscription("first", stage.topic)


def _malformed() -> Wire:
    return Wire({}, b"\xff no event")
