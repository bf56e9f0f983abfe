import asyncio

import pytest

from events_core import Context, IntegrationEvent, Registration
from events_core.errors import NotConnected, TopologyMismatch
from events_core.ports import AlertKind, Verdict
from tests.unit.integration.scene import ORDERS, PAYMENTS, Placed, Recorder, Scene

pytestmark = pytest.mark.anyio


class Gated(Recorder):
    """Waits in its handlers until the test opens the gate."""

    def __init__(self, name: str = "recorder") -> None:
        super().__init__(name, self._wait)
        self.gate = asyncio.Event()
        self.cancelled = False

    async def _wait(self, event: IntegrationEvent, context: Context) -> None:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_a_lost_connection_is_reported_and_the_bus_subscribes_anew() -> None:
    recorder = Recorder()
    scene = Scene(Registration(recorder, ORDERS))
    async with scene.bus as bus:
        scene.line.feeds[0].cut()
        await scene.turn()
        health = await bus.health()
        assert (health.ready, health.live) == (False, True)
        assert [(each.kind, each.subject) for each in health.alerts] == [(AlertKind.CONNECTION_LOST, "recorder.orders")]
        await bus.send(ORDERS, Placed())
        await scene.clock.advance(1)
        assert (await bus.health()).ready
        assert recorder.got == [Placed()]


async def test_a_running_handler_survives_a_lost_connection_and_its_late_result_is_dropped() -> None:
    recorder = Gated()
    scene = Scene(Registration(recorder, ORDERS, concurrency=1))
    async with scene.bus as bus:
        await bus.send(ORDERS, Placed(), id="e-1")
        await scene.turn()
        scene.line.feeds[0].cut()
        await scene.clock.advance(1)
        assert not recorder.cancelled
        recorder.gate.set()
        await scene.turn()
        assert [each.id for each in recorder.contexts] == ["e-1", "e-1"]
        assert scene.line.feeds[0].settled == []
        assert [each.verdict for each in scene.line.feeds[1].settled] == [Verdict.ACCEPT]


async def test_in_background_a_broker_that_is_down_leaves_a_bus_that_is_not_ready_yet() -> None:
    recorder = Recorder()
    scene = Scene(Registration(recorder, ORDERS), background=True)
    scene.line.reachable = False
    async with scene.bus as bus:
        await scene.turn()
        assert not (await bus.health()).ready
        scene.line.reachable = True
        await scene.clock.advance(10)
        assert (await bus.health()).ready
        await bus.send(ORDERS, Placed())
        await scene.turn()
        assert recorder.got == [Placed()]


async def test_startup_fails_when_the_broker_is_down_and_works_when_it_is_back() -> None:
    scene = Scene()
    scene.line.reachable = False
    with pytest.raises(NotConnected):
        await scene.bus.startup()
    scene.line.reachable = True
    await scene.bus.startup()
    await scene.bus.shutdown()


async def test_a_mismatch_on_the_broker_is_raised_and_everything_else_keeps_working() -> None:
    recorder, other = Recorder(), Recorder("other")
    scene = Scene(Registration(recorder, ORDERS))
    scene.line.mismatched.add("other")
    async with scene.bus as bus:
        with pytest.raises(TopologyMismatch):
            await bus.register(Registration(other, PAYMENTS))
        assert [each.name for each in bus.registrations] == ["recorder.orders"]
        await bus.send(ORDERS, Placed())
        await scene.turn()
        assert recorder.got == [Placed()]
        scene.line.mismatched.clear()
        await bus.register(Registration(other, PAYMENTS))


async def test_a_revoked_lane_gives_back_what_has_not_begun() -> None:
    recorder = Gated()
    scene = Scene(Registration(recorder, ORDERS, concurrency=1))
    async with scene.bus as bus:
        await asyncio.gather(*(bus.send(ORDERS, Placed(), id=each) for each in ("a", "b", "c")))
        await scene.turn()
        scene.line.revoke(frozenset({"somebody else's"}))
        await scene.turn()
        assert scene.line.feeds[0].settled == []
        scene.line.revoke(frozenset({"memory"}))
        await scene.turn()
        assert [each.verdict for each in scene.line.feeds[0].settled] == [Verdict.RELEASE, Verdict.RELEASE]
        recorder.gate.set()
        await scene.turn()
    assert sorted(each.id for each in recorder.contexts) == ["a", "b", "c"]


async def test_what_has_not_begun_is_given_back_at_half_of_what_the_broker_lets_one_hold() -> None:
    recorder = Gated()
    scene = Scene(Registration(recorder, ORDERS, concurrency=1, timeout=60))
    scene.line.limit_holds(60)
    async with scene.bus as bus:
        await bus.send(ORDERS, Placed(), id="a")
        await bus.send(ORDERS, Placed(), id="b")
        await scene.clock.advance(29)
        assert scene.line.feeds[0].settled == []
        await scene.clock.advance(2)
        assert Verdict.RELEASE in [each.verdict for each in scene.line.feeds[0].settled]
        recorder.gate.set()
        await scene.clock.advance(60)
    assert [each.id for each in recorder.contexts] == ["a", "b"]


async def test_a_settlement_that_was_refused_is_settled_again() -> None:
    recorder = Recorder()
    scene = Scene(Registration(recorder, ORDERS))
    async with scene.bus as bus:
        scene.line.refusals = 2
        await bus.send(ORDERS, Placed())
        await scene.clock.advance(5)
        assert [each.verdict for each in scene.line.feeds[0].settled] == [Verdict.ACCEPT]
        health = await bus.health()
        assert [each.kind for each in health.alerts] == [AlertKind.REFUSED, AlertKind.REFUSED]
        assert health.subscriptions[0].held == 0
    assert len(recorder.got) == 1
