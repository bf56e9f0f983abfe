"""Everything that was put is sent: at least once, in order within each key, whatever the broker says."""

import asyncio
from datetime import UTC, datetime

import pytest

from events_core import Topic
from events_core.errors import (
    AccessRefused,
    ConfigurationError,
    EventsError,
    EventTooLarge,
    NotConnected,
    OutcomeUnknown,
)
from events_core.messages import JsonCodec, Sealer
from events_core.outbox import OutboxRelay, RelaySettings
from events_core.ports import Waiting
from tests.unit.outbox.scene import ORDERS, Placed, Shop, shop

pytestmark = pytest.mark.anyio


async def until_sent(scene: Shop, number: int) -> None:
    async with asyncio.timeout(5):
        while len(scene.sent) < number:
            await scene.turn()


async def test_what_was_put_is_sent_with_its_id_in_order() -> None:
    async with shop() as scene:
        ids = scene.put("a", "b", "c", key="k")
        assert await scene.relay.relay_due() == 3
        assert scene.sent == ["a", "b", "c"]
        assert [each.id for each in scene.bus.sent] == ids
        assert await scene.relay.relay_due() == 0


async def test_a_running_relay_sends_what_is_put_and_stops_in_good_order() -> None:
    async with shop() as scene, scene.relay:
        scene.put("a")
        await until_sent(scene, 1)
        assert (await scene.relay.health()).live
    assert not (await scene.relay.health()).live


async def test_an_idle_relay_is_woken() -> None:
    async with shop() as scene, scene.relay:
        scene.put("a")
        await until_sent(scene, 1)
        for _ in range(50):
            await asyncio.sleep(0)
        scene.put("b")
        for _ in range(50):
            await asyncio.sleep(0)
        assert scene.sent == ["a"]
        scene.relay.wake()
        await until_sent(scene, 2)


async def test_a_relay_that_listens_is_woken_by_the_store() -> None:
    async with shop() as scene:
        relay = OutboxRelay(scene.store, scene.bus, clock=scene.bus.clock, listen=True)
        async with relay:
            for number in range(3):
                for _ in range(50):
                    await asyncio.sleep(0)
                scene.put(f"{number}")
                await until_sent(scene, number + 1)
            assert (await relay.health()).listening


async def test_full_batches_follow_each_other_without_a_pause() -> None:
    async with shop(RelaySettings(batch=2)) as scene:
        scene.put(*(f"{n}" for n in range(11)))
        async with scene.relay:
            await until_sent(scene, 11)
        assert scene.bus.clock.monotonic() == 0


async def test_an_event_is_not_sent_before_its_time() -> None:
    async with shop() as scene:
        at = datetime.fromtimestamp(scene.bus.clock.time() + 60, UTC)
        scene.outbox.put(ORDERS, Placed("later"), at=at)
        assert await scene.relay.relay_due() == 0
        assert (await scene.store.backlog(scene.bus.clock.time())).scheduled == 1
        await scene.bus.clock.advance(60)
        assert await scene.relay.relay_due() == 1


@pytest.mark.parametrize("trouble", [NotConnected("gone"), OutcomeUnknown("who knows"), AccessRefused("new password")])
async def test_trouble_of_the_broker_counts_against_no_event(trouble: EventsError) -> None:
    async with shop(RelaySettings(delays=())) as scene:
        scene.put("a1", "a2", key="a")
        for _ in range(3):
            scene.bus.fail_sending(trouble)
            with pytest.raises(type(trouble)):
                await scene.relay.relay_due()
            assert scene.sent == []
        await scene.relay.relay_due()
        assert scene.sent == ["a1", "a2"]


async def test_a_refused_event_is_tried_again_and_finally_parked_and_blocks_its_own_key_only() -> None:
    async with shop(RelaySettings(delays=(1, 5))) as scene:
        scene.put("a1", "a2", key="a")
        scene.put("b1", key="b")
        scene.bus.fail_sending(EventTooLarge("too ugly"))
        assert await scene.relay.relay_due() == 1
        assert scene.sent == ["b1"]
        for seconds in (1, 5):
            scene.bus.fail_sending(EventTooLarge("too ugly"))
            await scene.bus.clock.advance(seconds - 0.1)
            await scene.relay.relay_due()
            assert "a2" not in scene.sent
            await scene.bus.clock.advance(0.1)
            await scene.relay.relay_due()
        assert scene.sent == ["b1", "a2"]
        ((parked, error),) = await scene.store.parked(10)
        assert parked.failures == 3
        assert "too ugly" in error
        assert (await scene.relay.health()).backlog is not None
        await scene.store.retry(parked.envelope.id if parked.envelope else "")
        await scene.relay.relay_due()
        assert scene.sent == ["b1", "a2", "a1"]


async def test_a_topic_that_cannot_be_is_refused_and_its_neighbours_are_sent() -> None:
    async with shop() as scene:
        scene.put("good")
        scene.store.write(Waiting("no topic", Sealer(JsonCodec(), "shop").seal(Placed("?"), id="e", time=0.0), 0.0))
        scene.put("fine")
        await scene.relay.relay_due()
        assert scene.sent == ["good", "fine"]
        assert (await scene.store.backlog(scene.bus.clock.time())).waiting == 1


async def test_a_relay_waits_out_a_broker_that_is_away() -> None:
    async with shop() as scene, scene.relay:
        scene.bus.fail_sending(NotConnected("gone"), times=2)
        scene.put("a")
        while not (await scene.relay.health()).trouble:
            await scene.turn()
        assert (await scene.relay.health()).trouble == "gone"
        await scene.bus.clock.advance(1)
        await until_sent(scene, 1)
        await scene.bus.clock.advance(1)
        assert (await scene.relay.health()).trouble == ""


async def test_two_relays_never_send_one_event_twice_in_calm() -> None:
    async with shop(RelaySettings(batch=7)) as scene:
        second = OutboxRelay(scene.store, scene.bus, settings=RelaySettings(batch=5), clock=scene.bus.clock)
        for number in range(200):
            scene.put(f"{number}", key=f"{number % 9}")
        async with scene.relay, second:
            while len(scene.sent) < 200:
                await scene.bus.clock.advance(0.1)
        assert sorted(scene.sent, key=int) == [f"{n}" for n in range(200)]
        for key in range(9):
            assert [int(text) for text in scene.sent if int(text) % 9 == key] == list(range(key, 200, 9))


async def test_sent_events_are_kept_for_the_retention_time() -> None:
    async with shop(RelaySettings(retention=3_600)) as scene:
        scene.put("a")
        async with scene.relay:
            await until_sent(scene, 1)
            await scene.bus.clock.advance(3_599)
            assert scene.store.kept == 1
            await scene.bus.clock.advance(120)
            assert scene.store.kept == 0


async def test_health_tells_what_waits_and_for_how_long() -> None:
    async with shop() as scene:
        scene.put("a", "b")
        await scene.bus.clock.advance(90)
        health = await scene.relay.health()
        assert health.oldest == pytest.approx(90)
        assert health.backlog is not None
        assert health.backlog.waiting == 2
        await scene.relay.relay_due()
        health = await scene.relay.health()
        assert (health.sent, health.oldest) == (2, None)


async def test_a_topic_that_needs_more_than_a_name_is_given_to_the_relay() -> None:
    async with shop() as scene:
        relay = OutboxRelay(scene.store, scene.bus, topics=[Topic("orders", partitions=3)], clock=scene.bus.clock)
        scene.put("a")
        assert await relay.relay_due() == 1


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"poll": 0}, {"delays": (0,)}, {"retention": -1}, {"lease": 10, "timeout": 6}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        RelaySettings(**wrong)  # type: ignore[arg-type]
