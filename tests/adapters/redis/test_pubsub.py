"""Ephemeral topics: everybody who listens gets a copy, and nobody else ever will."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from brokers import FaultProxy, Redis
from events_core import open_bus
from events_core.conformance import Connect
from events_core.conformance.broadcast import Broadcast
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Recorder
from events_core.conformance.stage import Stage
from events_core.errors import NotConnected, OutcomeUnknown, UnknownDeadLetter, UnsupportedCapability
from events_core.integration import Registration
from events_core.ports import Alert, AlertKind, Revoked, Source, Subscription, Topic, Wire
from events_redis import RedisPubSubEventBus, RedisPubSubTransport
from tests.adapters.redis.strangers import ask, connected, heard
from tests.broker_fixtures import MakeRedis

pytestmark = [pytest.mark.anyio, pytest.mark.broker("redis")]

NAMED = "conformance.noted"
THOUSANDS = 3_000


@pytest.fixture
async def stage(redis_broker: Redis, proxy: FaultProxy, request: pytest.FixtureRequest) -> AsyncGenerator[Stage]:
    """A topic of the test's own, and processes around it."""
    url = f"{proxy.url(redis_broker.url)}?timeout=2"
    name = request.function.__name__
    stage = Stage(lambda: RedisPubSubTransport(url), test=name, patience=10.0, delays=(0.2,))
    await stage.open()
    yield stage
    await stage.close()


def listening(recorder: Recorder, stage: Stage) -> Registration:
    return Registration(recorder, stage.topic, broadcast=True)


@pytest.mark.broker("redis")
class TestRedisPubSubTransport(Broadcast):
    """The part of the suite that speaks of broadcast."""

    @pytest.fixture
    def connect(self, redis_broker: Redis) -> Connect:
        return lambda: RedisPubSubTransport(redis_broker.url)


async def test_a_durable_registration_is_refused(stage: Stage) -> None:
    with pytest.raises(UnsupportedCapability, match="broadcast"):
        await stage.consume(stage.recorder())


async def test_two_processes_and_a_plain_subscriber_hear_the_same(stage: Stage, redis_broker: Redis) -> None:
    recorders = [stage.recorder(), stage.recorder()]
    for recorder in recorders:
        await stage.process(listening(recorder, stage))
    async with connected(redis_broker.url) as client:
        subscriber = client.pubsub()
        await subscriber.subscribe(stage.topic.name)
        await stage.sender.send(stage.topic, Noted(1, "hello"), id="n-1")
        for recorder in recorders:
            await recorder.see(1)
        assert await ask(redis_broker.url, "PUBSUB", "NUMSUB", stage.topic.name) == [stage.topic.name.encode(), 3]
        message = json.loads(await heard(subscriber))
    assert {each.done[0].context.id for each in recorders} == {"n-1"}
    assert message["data"] == Noted(1, "hello").to_dict()


async def test_the_cloudevents_sdk_understands_what_is_published(stage: Stage, redis_broker: Redis) -> None:
    async with connected(redis_broker.url) as client:
        subscriber = client.pubsub()
        await subscriber.subscribe(stage.topic.name)
        await stage.sender.send(stage.topic, Noted(1), id="n-1", key="k-1", headers={"tenant": "7"})
        event = JSONFormat().read(None, await heard(subscriber))
    assert (event.get_id(), event.get_type(), event.get_source()) == ("n-1", NAMED, "conformance")
    assert (event.get_specversion(), event.get_datacontenttype()) == ("1.0", "application/json")
    assert event.get_data() == Noted(1).to_dict()
    assert (event.get_extension("partitionkey"), event.get_extension("eventversion")) == ("k-1", "1")


async def test_a_cloudevent_published_by_the_sdk_is_handled(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    await stage.process(listening(recorder, stage))
    attributes = {"id": "theirs-1", "type": NAMED, "source": "theirs", "partitionkey": "k-1", "specversion": "1.0"}
    event = CloudEvent(attributes, Noted(1, "hello").to_dict())
    await ask(redis_broker.url, "PUBLISH", stage.topic.name, JSONFormat().write(event))
    await recorder.count(1)
    (call,) = recorder.done
    assert call.event == Noted(1, "hello")
    assert (call.context.id, call.context.source, call.context.key) == ("theirs-1", "theirs", "k-1")


async def test_a_plain_publish_is_handled_by_its_body(stage: Stage, redis_broker: Redis) -> None:
    recorder = stage.recorder()
    await stage.process(listening(recorder, stage))
    await ask(redis_broker.url, "PUBLISH", stage.topic.name, json.dumps(Noted(1, "hello").to_dict()))
    await recorder.count(1)
    (call,) = recorder.done
    assert call.event == Noted(1, "hello")
    assert call.context.id
    assert call.context.headers == {}


@pytest.mark.parametrize(
    "payload", [b"\xff no json", b"", b"[]", b"7", b'{"specversion": 7}', b'{"nested": ' + b"[" * 200_000]
)
async def test_a_publish_that_is_no_event_stops_nobody(stage: Stage, redis_broker: Redis, payload: bytes) -> None:
    recorder = stage.recorder()
    process = await stage.process(listening(recorder, stage))
    await ask(redis_broker.url, "PUBLISH", stage.topic.name, payload)
    await stage.fence(recorder)
    assert (await process.bus.health()).ready


async def test_metadata_survives_the_way(stage: Stage) -> None:
    recorder = stage.recorder()
    await stage.process(listening(recorder, stage))
    await stage.sender.send(
        stage.topic, Noted(1, "naïve ☕ \u0000"), id="given", key="kéy", headers={"tenant": "Zoë & co"}
    )
    await recorder.count(1)
    (call,) = recorder.done
    assert call.event == Noted(1, "naïve ☕ \u0000")
    assert (call.context.id, call.context.key, call.context.headers) == ("given", "kéy", {"tenant": "Zoë & co"})
    assert (call.context.source, call.context.correlation_id) == ("conformance", "given")


async def test_there_never_is_a_dead_letter(stage: Stage, proxy: FaultProxy) -> None:
    letters = stage.sender.dead_letters("screen", stage.topic)
    connections = proxy.connections
    assert await letters.list() == []
    with pytest.raises(UnknownDeadLetter):
        await letters.get("1")
    with pytest.raises(UnknownDeadLetter):
        await letters.discard("1")
    assert proxy.connections == connections


async def test_thousands_of_topics_share_one_connection_and_come_back_together(stage: Stage, proxy: FaultProxy) -> None:
    recorder = stage.recorder("screen")
    topics = [stage.new_topic() for _ in range(1_000)]
    process = await stage.process()
    connections = proxy.connections
    await asyncio.gather(*(process.bus.register(Registration(recorder, each, broadcast=True)) for each in topics))
    assert proxy.connections == connections
    proxy.reset()
    await stage.alert(process, AlertKind.GAP)
    await stage.ready(process)
    await asyncio.gather(*(stage.sender.send(each, Noted(number)) for number, each in enumerate(topics)))
    await recorder.see(*range(1_000))
    assert proxy.connections <= connections


async def test_a_feed_that_nobody_reads_keeps_no_more_than_its_window_and_says_what_it_missed(
    stage: Stage, redis_broker: Redis
) -> None:
    alerts: list[Revoked | Alert] = []
    transport = RedisPubSubTransport(redis_broker.url)
    await transport.open(alerts.append)
    reading, idle = [await transport.subscribe(a_window_of(stage, window)) for window in (500, 10)]
    for _ in range(5):
        await transport.publish(stage.topic, [Wire({"type": "t"}, b"{}")] * 100)
        seen = 0
        while seen < 100:
            seen += len(await reading.receive(100))
    assert await idle.lag() == 10
    await idle.receive(500)
    assert [str(each.detail) for each in alerts if isinstance(each, Alert)] == ["490 events found no room"]
    await transport.close()


def a_window_of(stage: Stage, window: int) -> Subscription:
    return Subscription(consumer="", topic=stage.topic, source=Source.BROADCAST, window=window)


async def test_thousands_of_registrations_share_one_connection(stage: Stage, proxy: FaultProxy) -> None:
    process = await stage.process()
    recorders = [stage.recorder(f"screen-{n}") for n in range(THOUSANDS)]
    topics = [stage.topic, *(stage.new_topic() for _ in range(20))]
    await process.bus.register(Registration(recorders[0], topics[0], broadcast=True))
    connections = proxy.connections
    for n, recorder in enumerate(recorders[1:], 1):
        await process.bus.register(Registration(recorder, topics[n % len(topics)], broadcast=True))
    assert proxy.connections == connections
    for number, topic in enumerate(topics):
        await stage.sender.send(topic, Noted(number))
    await asyncio.gather(*(each.see(n % len(topics)) for n, each in enumerate(recorders)))
    assert {len(each.begun) for each in recorders} == {1}


async def test_registering_and_unregistering_at_any_time_disturbs_no_other(stage: Stage, redis_broker: Redis) -> None:
    process = await stage.process()
    staying = stage.recorder("staying")
    await process.bus.register(listening(staying, stage))

    async def come_and_go(name: str) -> None:
        for topic in (stage.topic, stage.new_topic()):
            recorder = stage.recorder(name)
            registration = Registration(recorder, topic, broadcast=True)
            await process.bus.register(registration)
            await process.bus.send(topic, Noted(2_000))
            await recorder.see(2_000)
            await process.bus.unregister(registration)

    sending = asyncio.create_task(stage.send_numbers(*range(500)))
    await asyncio.gather(*(come_and_go(f"guest-{n}") for n in range(50)))
    await sending
    await staying.see(*range(500))
    assert [number for number in staying.numbers if number < 500] == list(range(500))
    channels = await ask(redis_broker.url, "PUBSUB", "CHANNELS", f"*{stage.topic.name.rpartition('.')[0]}*")
    assert channels == [stage.topic.name.encode()]


async def test_a_cut_connection_is_reported_as_a_gap_and_listening_goes_on(stage: Stage, proxy: FaultProxy) -> None:
    recorder = stage.recorder()
    registration = listening(recorder, stage)
    process = await stage.process(registration)
    await stage.fence(recorder)
    proxy.refuse = True
    proxy.reset()
    alert = await stage.alert(process, AlertKind.GAP)
    proxy.refuse = False
    assert alert.subject == registration.name
    await stage.ready(process)
    await stage.fence(recorder)


async def test_a_connection_that_died_without_a_word_is_found_out(stage: Stage, proxy: FaultProxy) -> None:
    recorder = stage.recorder()
    process = await stage.process(listening(recorder, stage))
    await stage.fence(recorder)
    proxy.down = "drop"
    await stage.alert(process, AlertKind.GAP)
    proxy.down = "pass"
    await stage.ready(process)
    proxy.reset()
    await stage.ready(process)


async def test_a_listener_that_redis_throws_out_for_being_slow_reports_the_gap(
    stage: Stage, redis_broker: Redis
) -> None:
    recorder = stage.recorder()
    process = await stage.process(listening(recorder, stage))
    await stage.fence(recorder)
    await ask(redis_broker.url, "CLIENT", "KILL", "TYPE", "pubsub")
    await stage.alert(process, AlertKind.GAP)
    await stage.ready(process)
    await stage.fence(recorder)


async def test_sends_during_an_outage_end_in_time_with_a_typed_error(stage: Stage, proxy: FaultProxy) -> None:
    await stage.send_numbers(1)
    proxy.refuse = True
    proxy.reset()
    with pytest.raises((NotConnected, OutcomeUnknown)) as caught:
        await stage.sender.send(stage.topic, Noted(2), id="two", timeout=0.3)
    assert caught.value.event_id == "two"
    proxy.refuse = False
    await stage.send_numbers(3)


async def test_two_namespaces_do_not_hear_each_other(redis_broker: Redis) -> None:
    topic = Topic("namespaces")
    recorders = {name: Recorder(name, patience=10.0) for name in ("blue", "green")}
    buses = [
        RedisPubSubEventBus(
            f"{redis_broker.url}?namespace={name}",
            source="tests",
            registrations=[Registration(recorder, topic, broadcast=True)],
        )
        for name, recorder in recorders.items()
    ]
    async with buses[0] as blue, buses[1] as green:
        await blue.send(topic, Noted(1))
        await green.send(topic, Noted(2))
        await recorders["blue"].see(1)
        await recorders["green"].see(2)
    assert [each.numbers for each in recorders.values()] == [[1], [2]]


async def test_a_url_opens_it(redis_broker: Redis) -> None:
    recorder = Recorder("screen", patience=10.0)
    registration = Registration(recorder, Topic("by-url"), broadcast=True)
    url = redis_broker.url.replace("redis://", "redis+pubsub://")
    async with open_bus(url, source="tests", registrations=[registration]) as bus:
        await bus.send(Topic("by-url"), Noted(1))
        await recorder.see(1)


async def test_a_redis_that_keeps_nothing_is_good_enough(make_redis: MakeRedis) -> None:
    broker = make_redis(settings={"appendonly": "no", "maxmemory-policy": "allkeys-lru"})
    async with RedisPubSubEventBus(broker.url, source="tests") as bus:
        assert (await bus.health()).ready
        assert await bus.send(Topic("anything"), Noted(1), id="1") == "1"
