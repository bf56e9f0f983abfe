"""C2: where a subscription begins, and what needs a capability."""

import pytest

from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.errors import UnsupportedCapability
from events_core.integration import Registration

__all__ = ["Starting"]


class Starting(Scenarios):
    """C2."""

    async def test_a_new_subscription_sees_nothing_from_before_and_everything_after_startup(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.send_numbers(1, 2)
        await stage.consume(recorder)
        await stage.send_numbers(3, 4)
        await recorder.see(3, 4)
        await stage.fence(recorder)
        assert {1, 2}.isdisjoint(recorder.numbers)

    async def test_a_registration_on_a_running_bus_sees_everything_sent_after_it(self, stage: Stage) -> None:
        recorder = stage.recorder()
        process = await stage.process()
        await stage.send_numbers(1)
        await process.bus.register(stage.note(Registration(recorder, stage.topic)))
        await stage.send_numbers(2)
        await recorder.see(2)
        await stage.fence(recorder)
        assert 1 not in recorder.numbers

    async def test_the_past_is_read_where_the_broker_keeps_it_and_refused_elsewhere(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.send_numbers(1)
        registration = Registration(recorder, stage.topic, start="earliest")
        if stage.capabilities.earliest:
            await stage.process(registration)
            await recorder.see(1)
        else:
            with pytest.raises(UnsupportedCapability):
                await stage.process(registration)

    async def test_order_is_refused(self, stage: Stage) -> None:
        with pytest.raises(UnsupportedCapability):
            await stage.process(Registration(stage.recorder(), stage.topic, ordered=True))

    async def test_a_subscription_without_a_store_is_refused(self, stage: Stage) -> None:
        registration = Registration(stage.recorder(), stage.topic)
        if stage.capabilities.durable:
            assert (await (await stage.process(registration)).bus.health()).ready
        else:
            with pytest.raises(UnsupportedCapability):
                await stage.process(registration)
