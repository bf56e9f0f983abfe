"""C12: what becomes of a bus whose broker goes away and comes back."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Final

import pytest

from events_core.conformance.events import Noted
from events_core.conformance.faults import Faults
from events_core.conformance.recorder import Handled, forever
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import KEY, Stage
from events_core.errors import ConnectionLost, NotConnected, OutcomeUnknown, RetryLater, SendError
from events_core.integration import Registration
from events_core.ports import AlertKind

__all__ = ["Outages"]

_BRIEFLY: Final = 0.3
"""Seconds that a caller gives a broker that is away."""
_GRACE: Final = 3.0
"""Seconds by which an answer may come later than that on a busy machine."""
_RETRIED: Final = 0


class Outages(Scenarios):
    """C12."""

    async def test_consuming_resumes_by_itself_after_a_lost_connection_and_it_is_reported(
        self, stage: Stage, faults: Faults
    ) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await stage.fence(recorder)
        async with faults.outage():
            alert = await stage.alert(process, AlertKind.CONNECTION_LOST)
            health = await process.bus.health()
            assert (health.live, health.ready) == (True, False)
            assert [each.connected for each in health.subscriptions] == [False]
        assert alert.subject == f"first.{stage.topic.name}"
        await stage.ready(process)
        await stage.send_numbers(1)
        await recorder.see(1)

    async def test_a_waiting_receive_ends_when_the_connection_is_lost(self, stage: Stage, faults: Faults) -> None:
        feed = await stage.feed(await stage.process())
        waiting = asyncio.create_task(stage.receive(feed))
        await asyncio.sleep(0)
        async with faults.outage():
            with pytest.raises(ConnectionLost):
                await waiting

    async def test_after_a_restart_every_confirmed_event_is_handled_and_waiting_retries_come_back(
        self, stage: Stage, faults: Faults
    ) -> None:
        async def fail_once(handled: Handled) -> None:
            if handled.number == _RETRIED and handled.context.attempt == 1:
                raise RetryLater(stage.delays[-1])

        awake, asleep = stage.recorder("awake", act=fail_once), stage.recorder("asleep")
        await (await stage.consume(asleep)).bus.shutdown()
        process = await stage.consume(awake)
        await stage.send_numbers(_RETRIED)
        await awake.begin(1)
        await stage.held(process, 0)
        restarting = asyncio.create_task(faults.restart())
        confirmed = await _send_until_done(stage, restarting)
        await restarting
        await stage.ready(process)
        await stage.consume(asleep)
        for recorder in (awake, asleep):
            await recorder.see(_RETRIED, *confirmed)
        assert {each.context.attempt for each in awake.done if each.number == _RETRIED} == {2}

    async def test_a_subscription_deleted_on_the_broker_is_made_anew_and_reported(
        self, stage: Stage, faults: Faults
    ) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await stage.fence(recorder)
        await faults.delete("first", stage.topic)
        alert = await stage.alert(process, AlertKind.RECREATED)
        assert alert.subject == f"first.{stage.topic.name}"
        await stage.ready(process)
        await stage.send_numbers(1)
        await recorder.see(1)

    async def test_sends_during_an_outage_end_in_time_with_a_typed_error(self, stage: Stage, faults: Faults) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        async with faults.outage():
            began = time.monotonic()
            errors = await asyncio.gather(*(_error_of_sending(stage, number) for number in range(20)))
            assert time.monotonic() - began < _BRIEFLY + _GRACE
        assert [each.event_id for each in errors] == [f"outage-{number}" for number in range(20)]
        assert {type(each) for each in errors} <= {NotConnected, OutcomeUnknown}
        await stage.fence(recorder)
        unsent = {number for number, error in enumerate(errors) if isinstance(error, NotConnected)}
        assert unsent.isdisjoint(recorder.numbers)

    async def test_a_send_that_has_time_is_stored_when_the_outage_is_over(self, stage: Stage, faults: Faults) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        async with faults.outage():
            with pytest.raises(SendError):
                await stage.sender.send(stage.topic, Noted(1), key=KEY, timeout=_BRIEFLY)
            sending = asyncio.create_task(stage.sender.send(stage.topic, Noted(2), key=KEY, timeout=self.patience))
            await asyncio.sleep(0)
        await sending
        await recorder.see(2)

    async def test_what_else_asks_the_broker_during_an_outage_ends_in_time_with_a_typed_error(
        self, stage: Stage, faults: Faults
    ) -> None:
        letters = stage.sender.dead_letters("first", stage.topic)
        registration = stage.note(Registration(stage.recorder(), stage.topic))
        async with faults.outage(), asyncio.timeout(self.patience):
            with pytest.raises((NotConnected, ConnectionLost)):
                await letters.list()
            with pytest.raises((NotConnected, ConnectionLost)):
                await stage.sender.delete_subscription("first", stage.topic)
            with pytest.raises((NotConnected, ConnectionLost)):
                await stage.sender.register(registration)
            with pytest.raises(NotConnected):
                await stage.unstarted().startup(_BRIEFLY)

    async def test_shutdown_during_an_outage_ends_in_time_and_loses_nothing(self, stage: Stage, faults: Faults) -> None:
        leaving, next_one = stage.recorder(act=forever), stage.recorder()
        process = await stage.consume(leaving)
        await stage.send_numbers(1)
        await leaving.begin(1)
        async with faults.outage(), asyncio.timeout(self.patience):
            await process.bus.shutdown(0.05)
        await stage.consume(next_one)
        await next_one.see(1)

    async def test_a_broadcast_registration_comes_back_and_reports_the_gap(self, stage: Stage, faults: Faults) -> None:
        recorder = stage.recorder()
        registration = Registration(recorder, stage.topic, broadcast=True)
        process = await stage.process(registration)
        await stage.fence(recorder)
        async with faults.outage():
            alert = await stage.alert(process, AlertKind.GAP)
        assert alert.subject == registration.name
        await stage.ready(process)
        await stage.send_numbers(1)
        await recorder.see(1)

    async def test_health_speaks_of_progress(self, stage: Stage) -> None:
        gate = asyncio.Event()

        async def wait(handled: Handled) -> None:
            await gate.wait()

        recorder = stage.recorder(act=wait)
        process = await stage.process(Registration(recorder, stage.topic, concurrency=1, prefetch=1))
        assert (await process.bus.health()).subscriptions[0].last_received is None
        await stage.send_numbers(1, 2, 3)
        await recorder.begin(1)
        await stage.lags(process, 2)
        (busy,) = (await process.bus.health()).subscriptions
        assert (busy.held, len(busy.running), busy.last_received is not None) == (1, 1, True)
        gate.set()
        await recorder.see(1, 2, 3)
        await stage.held(process, 0)
        await stage.lags(process, 0)
        assert (await process.bus.health()).subscriptions[0].running == ()


async def _send_until_done(stage: Stage, task: asyncio.Task[None]) -> Sequence[int]:
    """Send while the broker goes and comes back; the numbers that it confirmed."""
    confirmed: list[int] = []
    for number in count(1):
        with suppress(SendError):
            await stage.sender.send(stage.topic, Noted(number), key=KEY, timeout=_BRIEFLY)
            confirmed.append(number)
        if task.done():
            break
    return confirmed


async def _error_of_sending(stage: Stage, number: int) -> SendError:
    with pytest.raises(SendError) as raised:
        await stage.sender.send(stage.topic, Noted(number), id=f"outage-{number}", key=KEY, timeout=_BRIEFLY)
    return raised.value
