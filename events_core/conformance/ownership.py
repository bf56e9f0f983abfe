"""C7: who holds a delivery, for how long, and what a holder that lost it can still do."""

import asyncio
from contextlib import suppress

import pytest

from events_core.conformance.faults import Faults
from events_core.conformance.recorder import Act, Handled, forever
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.errors import ConnectionLost, Reject, UnsupportedCapability
from events_core.integration import Registration
from events_core.ports import Settled, Settlement, Verdict

__all__ = ["Ownership"]


class Ownership(Scenarios):
    """C7."""

    async def test_a_handler_slower_than_the_lease_is_handled_once(self, stage: Stage) -> None:
        async def linger(handled: Handled) -> None:
            if handled.number == 1:
                await asyncio.sleep(2 * self.lease)

        recorder = stage.recorder(act=linger, patience=self.patience + 2 * self.lease)
        await stage.consume(recorder)
        await stage.consume(recorder)
        await stage.send_numbers(1)
        await recorder.see(1)
        await stage.fence(recorder)
        assert [each.number for each in recorder.begun].count(1) == 1

    async def test_a_handler_over_its_timeout_counts_as_a_failure(self, stage: Stage) -> None:
        recorder = stage.recorder(act=_at_first(forever))
        await stage.process(Registration(recorder, stage.topic, timeout=0.05, retry=stage.retry))
        await stage.send_numbers(1)
        await recorder.see(1)
        assert recorder.attempts == [1, 2]

    async def test_a_timeout_above_what_the_broker_lets_one_hold_is_refused(self, stage: Stage) -> None:
        limit = stage.capabilities.hold_limit
        registration = Registration(stage.recorder(), stage.topic, timeout=(limit or 1e6) + 1)
        if limit is None:
            assert (await (await stage.process(registration)).bus.health()).ready
        else:
            with pytest.raises(UnsupportedCapability):
                await stage.process(registration)

    async def test_a_lost_connection_cancels_no_handler_and_its_late_accept_has_no_effect(
        self, stage: Stage, faults: Faults
    ) -> None:
        gate = asyncio.Event()
        recorder = stage.recorder(act=_at_first(lambda _: _passed(gate)))
        await stage.consume(recorder)
        await stage.send_numbers(1)
        await recorder.begin(1)
        async with faults.outage():
            gate.set()
            await recorder.count(1)
        await recorder.count(2)
        assert recorder.numbers == [1, 1]
        assert recorder.attempts == [1, 1]

    async def test_a_late_retry_or_dead_letter_is_no_loss(self, stage: Stage, faults: Faults) -> None:
        gate = asyncio.Event()

        async def fail(handled: Handled) -> None:
            await gate.wait()
            raise ValueError("not yet") if handled.number == 1 else Reject("unwanted")

        recorder = stage.recorder(act=_at_first(fail))
        process = await stage.consume(recorder)
        await stage.send_numbers(1, 2)
        await recorder.begin(2)
        async with faults.outage():
            gate.set()
            await stage.nothing_runs(process)
        await recorder.see(1, 2)

    async def test_an_accept_on_a_lost_feed_is_answered_as_lost_and_has_no_effect(
        self, stage: Stage, faults: Faults
    ) -> None:
        process = await stage.process()
        feed = await stage.feed(process)
        await stage.send_numbers(1)
        (delivery,) = await stage.receive(feed)
        async with faults.outage():
            with pytest.raises(ConnectionLost):
                await stage.receive(feed)
            with suppress(ConnectionLost):
                assert [*await feed.settle([Settlement(delivery, Verdict.ACCEPT)])] == [Settled.LOST]
        (again,) = await stage.receive(await stage.feed(process))
        assert (again.origin, again.wire.body) == (delivery.origin, delivery.wire.body)


async def _passed(gate: asyncio.Event) -> None:
    await gate.wait()


def _at_first(act: Act) -> Act:
    """Only on the first call for each number."""
    seen: set[int] = set()

    async def first(handled: Handled) -> None:
        if handled.number not in seen:
            seen.add(handled.number)
            await act(handled)

    return first
