"""What leaves the service: only after the commit, in order, exactly once."""

from collections.abc import Callable
from typing import Any

import pytest

from events_core import DomainEvent, IntegrationEvent, MessageBus, Topic, UnitOfWork
from events_core.domain import EventStream, RecordingSink, Status
from events_core.errors import AfterCommitFailed, ConfigurationError
from events_core.ports import Outgoing
from tests.unit.domain.scene import (
    NEWS,
    Async,
    AsyncUnit,
    Brew,
    Brewed,
    BrokenSink,
    CupSold,
    Machine,
    Side,
    StockFell,
    Sync,
    SyncUnit,
    Trace,
    Unit,
    both_sides,
    emits,
)

pytestmark = pytest.mark.anyio

Make = Callable[[], Side]


@both_sides
async def test_integration_events_leave_only_after_the_commit(make_side: Make) -> None:
    side = make_side()
    sent_before: list[int] = []

    def fall(event: Brewed, uow: Unit) -> None:
        sent_before.append(len(side.sent))

    bus = side.bus({Brew: emits(StockFell(), Brewed()), Brewed: fall})
    await side.handle(bus, Brew(), side.unit())
    assert sent_before == [0]
    assert side.sent == [StockFell()]


@both_sides
async def test_what_leaves_keeps_the_order_in_which_it_was_raised(make_side: Make) -> None:
    side, one, other = make_side(), Machine(), Machine()

    def brew(command: Brew, uow: Unit) -> None:
        uow.seen.add(other)
        uow.seen.add(one)
        one.raise_events(StockFell(item="1"))
        other.raise_events(CupSold(number=2))
        uow.stream.publish(StockFell(item="3"))
        one.raise_events(StockFell(item="4"))
        uow.emit(StockFell(item="5"), Brewed())

    def later(event: Brewed, uow: Unit) -> None:
        one.raise_events(StockFell(item="6"))

    await side.handle(side.bus({Brew: brew, Brewed: later}), Brew(), side.unit())
    expected: list[IntegrationEvent | DomainEvent] = [StockFell(item=each) for each in "13456"]
    expected.insert(1, CupSold(number=2))
    assert side.sent == expected


@both_sides
async def test_a_domain_event_that_is_not_published_stays_here(make_side: Make) -> None:
    side = make_side()
    await side.within(side.unit(), lambda uow: uow.emit(Brewed(), CupSold()))
    assert side.sent == [CupSold()]


@both_sides
async def test_nothing_is_sent_without_commit_nor_by_the_next_commit(make_side: Make) -> None:
    side, machine = make_side(), Machine()

    def act(uow: Unit) -> None:
        uow.seen.add(machine)
        machine.raise_events(StockFell())
        uow.stream.publish(StockFell())
        uow.emit(StockFell())

    uow = side.unit()
    await side.within(uow, act, commit=False)
    await side.within(uow, lambda uow: uow.seen.add(machine))
    assert side.sent == []


@both_sides
async def test_a_second_commit_sends_nothing_again(make_side: Make) -> None:
    side, machine = make_side(), Machine()

    def act(uow: Unit) -> None:
        uow.seen.add(machine)
        machine.raise_events(StockFell())

    uow = side.unit()
    await side.within(uow, act)
    await side.within(uow, lambda uow: uow.seen.add(machine))
    assert side.sent == [StockFell()]


@both_sides
async def test_a_sink_that_refuses_events_fails_the_commit(make_side: Make) -> None:
    side = make_side()
    uow = side.unit(sink=BrokenSink(ValueError("not JSON")))
    with pytest.raises(ValueError, match="not JSON"):
        await side.within(uow, lambda uow: uow.emit(StockFell()))
    assert uow.trace.steps == ["begin", "rollback", "close"]


@both_sides
async def test_a_sink_that_fails_after_the_commit_cannot_undo_it(make_side: Make) -> None:
    side, error = make_side(), OSError("no broker")
    uow = side.unit(sink=BrokenSink(error, after_commit=True))
    with pytest.raises(AfterCommitFailed, match="the transaction is committed; after it failed: no broker") as caught:
        await side.within(uow, lambda uow: uow.emit(StockFell()))
    assert caught.value.errors == (error,)
    assert uow.trace.steps == ["begin", "commit", "close"]


@both_sides
async def test_units_that_share_a_stream_do_not_send_for_each_other(make_side: Make) -> None:
    side, sink = make_side(), RecordingSink()
    stream = EventStream(sink, NEWS)
    kind = SyncUnit if isinstance(side, Sync) else AsyncUnit
    one, other = kind(Trace(), stream), kind(Trace(), stream)

    async def outer(inner: Unit) -> None:
        await side.within(inner)
        assert sink.sent == []

    if isinstance(one, SyncUnit):
        with one:
            one.emit(StockFell(item="one"))
            one.stream.publish(StockFell(item="one"))
            await outer(other)
    else:
        async with one:
            one.emit(StockFell(item="one"))
            one.stream.publish(StockFell(item="one"))
            await outer(other)
    assert sink.sent == []


@both_sides
async def test_an_event_goes_to_the_topic_of_its_class(make_side: Make) -> None:
    side, sink, cups = make_side(), RecordingSink(), Topic("cups")
    kind = SyncUnit if isinstance(side, Sync) else AsyncUnit
    uow = kind(Trace(), EventStream(sink, {StockFell: NEWS, CupSold: cups}))
    await side.within(uow, lambda uow: uow.emit(CupSold(), StockFell()))
    assert [each.topic for each in sink.sent] == [cups, NEWS]


@both_sides
async def test_an_event_without_topic_fails_the_commit(make_side: Make) -> None:
    side = make_side()
    kind = SyncUnit if isinstance(side, Sync) else AsyncUnit
    uow = kind(Trace(), EventStream(RecordingSink(), {CupSold: NEWS}))
    with pytest.raises(ConfigurationError, match="no topic is named for StockFell"):
        await side.within(uow, lambda uow: uow.emit(StockFell()))
    assert uow.trace.steps == ["begin", "rollback", "close"]


@both_sides
async def test_without_a_sink_events_go_nowhere(make_side: Make) -> None:
    side = make_side()
    kind = SyncUnit if isinstance(side, Sync) else AsyncUnit
    uow = kind(Trace(), EventStream())
    await side.within(uow, lambda uow: uow.emit(StockFell()))
    assert uow.trace.steps == ["begin", "commit", "close"]


def test_what_is_published_directly_may_say_its_topic_key_and_headers() -> None:
    stream = Bare(stream=EventStream(RecordingSink())).stream
    stream.publish(StockFell(), topic=NEWS, key="k", headers={"a": "b"})
    assert stream.pending == [Outgoing(topic=NEWS, event=StockFell(), key="k", headers={"a": "b"})]


class SlowSink:
    """Has something to await after the commit."""

    def stage(self, outgoing: object) -> Callable[[], Any]:
        return self._send

    async def _send(self) -> None:
        """Sent."""


async def test_a_sync_unit_refuses_an_asynchronous_sink_before_it_commits() -> None:
    side = Sync()
    uow = side.unit(sink=SlowSink())
    with pytest.raises(ConfigurationError, match="is asynchronous: give it to an AsyncUnitOfWork"):
        await side.within(uow, lambda uow: uow.emit(StockFell()))
    assert uow.trace.steps == ["begin", "rollback", "close"]


async def test_an_async_unit_awaits_an_asynchronous_sink() -> None:
    side = Async()
    await side.within(side.unit(sink=SlowSink()), lambda uow: uow.emit(StockFell()))


class Bare(UnitOfWork):
    def _begin(self) -> None: ...
    def _commit(self) -> None: ...
    def _rollback(self) -> None: ...


def emit_stock_fell(command: Brew, uow: Bare) -> None:
    uow.emit(StockFell())


def test_an_event_for_others_is_an_error_in_a_unit_without_stream() -> None:
    unit = Bare()
    with pytest.raises(ConfigurationError, match=r"StockFell is for other services.*stream=EventStream\(\)"):
        MessageBus({Brew: emit_stock_fell}).handle(Brew(), unit)
    assert unit.status is Status.ROLLED_BACK
    with Bare() as unit, pytest.raises(ConfigurationError, match="no stream"):
        unit.stream.publish(StockFell())


def test_nothing_can_be_published_on_the_stream_that_units_are_given() -> None:
    stream = EventStream(RecordingSink(), NEWS)
    with Bare(stream=stream), pytest.raises(ConfigurationError, match=r"publish on its own one, uow\.stream"):
        stream.publish(StockFell())


def test_a_stream_without_sink_drops_events_on_purpose() -> None:
    unit = Bare(stream=EventStream())
    MessageBus({Brew: emit_stock_fell}).handle(Brew(), unit)
    assert unit.status is Status.COMMITTED
