"""What goes wrong between outbox and broker is neither lost, nor sent again without need, nor in the way of others."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from events_core import InMemoryEventBus, Topic
from events_core.clock import Clock
from events_core.errors import EventsError, NotConnected, OutcomeUnknown, SendRejected, StoreUnavailable
from events_core.memory import InMemoryOutboxStore
from events_core.messages import Envelope
from events_core.outbox import Outbox, OutboxRelay, RelaySettings
from events_core.ports import Claim, Refused
from events_core.testing import TestBus
from tests.unit.outbox.scene import ORDERS, Placed, shop

pytestmark = pytest.mark.anyio

OTHERS = Topic("others")


async def turn() -> None:
    """Let others work for a turn of the event loop."""
    await asyncio.sleep(0)


class SlowBus(InMemoryEventBus):
    """Confirms after a while; for a topic that is `stuck` never."""

    def __init__(self, delay: float = 0.0, stuck: str = "", held: asyncio.Event | None = None) -> None:
        super().__init__(source="shop")
        self.delay = delay
        self.stuck = stuck
        self.held = held
        self.sent: list[str] = []

    async def send_envelopes(
        self, topic: Topic, envelopes: Sequence[Envelope], *, timeout: float = 10.0
    ) -> Sequence[EventsError | None]:
        await asyncio.sleep(self.delay)
        if topic.name == self.stuck:
            return [OutcomeUnknown("no leader")] * len(envelopes)
        if self.held is not None and len(self.sent) >= 3:
            self.held.set()
            await asyncio.get_running_loop().create_future()
        self.sent += [each.id for each in envelopes]
        return [None] * len(envelopes)


class BrokenStore(InMemoryOutboxStore):
    """Its connection for wake-ups breaks as soon as it is proven."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.listened: list[float] = []

    async def listen(self, wake: Callable[[], None]) -> None:
        self.listened.append(self.clock.monotonic())
        wake()
        raise StoreUnavailable("the connection for wake-ups broke")


class ForgetfulStore(InMemoryOutboxStore):
    """Cannot write down anything for a while."""

    forgets = True

    def settle(self, sent: Sequence[int], refused: Sequence[Refused], keep_at: float | None) -> None:
        if self.forgets:
            raise StoreUnavailable("permission denied")
        super().settle(sent, refused, keep_at)


async def test_what_was_sent_and_could_not_be_written_down_is_not_sent_again() -> None:
    store, bus = ForgetfulStore(), SlowBus()
    outbox = Outbox(store, source="shop")
    async with bus:
        relay = OutboxRelay(store, bus)
        first = [outbox.put(ORDERS, Placed(text), key="k") for text in "abc"]
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await relay.relay_due()
        more = outbox.put(ORDERS, Placed("d"), key="k")
        with pytest.raises(StoreUnavailable):
            await relay.relay_due()
        assert bus.sent == first
        store.forgets = False
        await relay.relay_due()
    assert bus.sent == [*first, more]
    assert (await store.backlog(time.time())).waiting == 0


class SlowStore(InMemoryOutboxStore):
    """Takes its time over a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.committing, self.committed = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def claim(self, limit: int, *, now: float, lease: float) -> AsyncGenerator[Claim]:
        async with super().claim(limit, now=now, lease=lease) as claim:
            yield claim
            self.committing.set()
            await self.committed.wait()


async def test_what_counts_as_sent_is_written_down() -> None:
    store, bus = SlowStore(), SlowBus()
    Outbox(store, source="shop").put(ORDERS, Placed("a"))
    async with asyncio.timeout(10), bus, OutboxRelay(store, bus) as relay:
        await store.committing.wait()
        assert (await relay.health()).sent == 0
        store.committed.set()
        while not (await relay.health()).sent:
            await turn()


async def test_a_full_broker_parks_nothing_and_keeps_the_order() -> None:
    async with shop(RelaySettings(delays=())) as scene:
        scene.put("a1", "a2", key="a")
        for _ in range(10):
            scene.bus.fail_sending(SendRejected("the queue is full"))
            await scene.relay.relay_due()
            await scene.bus.clock.advance(30)
        assert await scene.store.parked(10) == []
        await scene.relay.relay_due()
        assert scene.sent == ["a1", "a2"]


async def test_a_relay_that_stops_begins_no_further_round_and_writes_down_what_it_sent() -> None:
    store, bus = InMemoryOutboxStore(), SlowBus(delay=0.01)
    outbox = Outbox(store, source="shop")
    for number in range(100):
        outbox.put(ORDERS, Placed(f"{number}"), key="hot")
    async with bus:
        relay = OutboxRelay(store, bus)
        await relay.startup()
        while not bus.sent:
            await turn()
        await relay.shutdown(5)
    assert len(bus.sent) < 50
    assert (await store.backlog(time.time())).waiting == 100 - len(bus.sent)


async def test_a_relay_that_is_cut_short_writes_down_what_it_sent() -> None:
    held = asyncio.Event()
    store, bus = InMemoryOutboxStore(), SlowBus(held=held)
    outbox = Outbox(store, source="shop")
    for number in range(10):
        outbox.put(ORDERS, Placed(f"{number}"), key="hot")
    async with bus:
        relay = OutboxRelay(store, bus)
        await relay.startup()
        await held.wait()
        await relay.shutdown(0)
    assert len(bus.sent) == 3
    assert (await store.backlog(time.time())).waiting == 7


async def test_a_relay_that_waits_for_the_broker_stops_at_once() -> None:
    async with shop() as scene:
        scene.put("a")
        scene.bus.fail_sending(NotConnected("gone"), times=100)
        await scene.relay.startup()
        while not (await scene.relay.health()).trouble:
            await scene.turn()
        async with asyncio.timeout(2):
            await scene.relay.shutdown(30)
        assert not (await scene.relay.health()).live


async def test_a_topic_in_lasting_trouble_steps_aside() -> None:
    store, bus = InMemoryOutboxStore(), SlowBus(stuck=ORDERS.name)
    outbox = Outbox(store, source="shop")
    for _ in range(20):
        outbox.put(ORDERS, Placed("x"))
    good = outbox.put(OTHERS, Placed("y"))
    async with bus, asyncio.timeout(20):
        relay = OutboxRelay(store, bus, settings=RelaySettings(batch=20, delays=()))
        async with relay:
            while good not in bus.sent:
                await turn()
    assert await store.parked(100) == []


async def test_a_hot_key_does_not_hold_up_events_of_other_keys_that_come_later() -> None:
    store, bus = InMemoryOutboxStore(), SlowBus(delay=0.005)
    outbox = Outbox(store, source="shop")
    for number in range(900):
        outbox.put(ORDERS, Placed(f"{number}"), key="hot")
    async with bus, OutboxRelay(store, bus):
        while not bus.sent:
            await turn()
        other = outbox.put(ORDERS, Placed("y"), key="other")
        while other not in bus.sent:
            await turn()
        assert len(bus.sent) < 300


async def test_what_an_earlier_setting_kept_is_purged() -> None:
    async with shop(RelaySettings(retention=60)) as scene:
        scene.put("a")
        await scene.relay.relay_due()
        assert scene.store.kept == 1
        await scene.bus.clock.advance(1)
        async with OutboxRelay(scene.store, scene.bus, clock=scene.bus.clock):
            async with asyncio.timeout(5):
                while scene.store.kept:
                    await scene.turn()


async def test_a_relay_whose_connection_broke_often_listens_anew_as_soon_as_after_the_first_time() -> None:
    async with TestBus() as bus:
        store = BrokenStore(bus.clock)
        async with OutboxRelay(store, bus, clock=bus.clock, listen=True):
            for _ in range(10):
                await bus.clock.advance(0.1)
        pauses = [later - earlier for earlier, later in pairwise(store.listened)]
        assert len(pauses) >= 9
        assert max(pauses) <= 0.1
