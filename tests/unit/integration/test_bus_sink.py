"""From a unit of work to the integration event bus, once it has committed."""

import asyncio
from collections.abc import Sequence

import pytest

from events_core import AsyncMessageBus, Command, DomainEvent, Envelope, IntegrationEvent, Topic
from events_core.domain import Emit, EventStream
from events_core.errors import AfterCommitFailed, EventsError, InvalidPayload, NotConnected, NotSent
from events_core.integration import BusSink
from events_core.testing import AsyncFakeUnitOfWork, TestBus

pytestmark = pytest.mark.anyio

BOOKS = Topic("books")
LOANS = Topic("loans")


class Publish(Command):
    titles: list[str]


class Published(IntegrationEvent, key="title"):
    type = "sink.published"
    version = 1
    title: str
    price: float = 1.0


class Reviewed(DomainEvent, published=True, key="title"):
    type = "sink.reviewed"
    title: str


class ReviewedElsewhere(IntegrationEvent):
    """What the other services know of it."""

    type = "sink.reviewed"
    version = 1
    title: str


def publish(command: Publish, emit: Emit) -> None:
    emit(*(Published(title=each) for each in command.titles), Reviewed(title="all"))


def sent(bus: TestBus) -> list[tuple[str, str]]:
    return [(each.topic, type(each.event).__name__) for each in bus.sent]


async def test_events_are_sent_after_the_commit_in_order_to_the_topic_of_their_class() -> None:
    async with TestBus() as bus:
        uow = AsyncFakeUnitOfWork(stream=EventStream(BusSink(bus), {Published: BOOKS, Reviewed: LOANS}))
        async with uow:
            publish(Publish(titles=["Dune", "Emma"]), uow.emit)
            assert bus.sent == []
            await uow.commit()
        assert sent(bus) == [("books", "Published"), ("books", "Published"), ("loans", "ReviewedElsewhere")]


async def test_nothing_is_sent_of_a_unit_that_rolls_back() -> None:
    async with TestBus() as bus:
        uow = AsyncFakeUnitOfWork(stream=EventStream(BusSink(bus), BOOKS))
        async with uow:
            uow.emit(Published(title="Dune"))
        assert bus.sent == []


async def test_an_event_that_cannot_travel_fails_the_commit() -> None:
    async with TestBus() as bus:
        uow = AsyncFakeUnitOfWork(stream=EventStream(BusSink(bus), BOOKS))
        async with uow:
            uow.emit(Published(title="Dune"), Published(title="Emma", price=float("nan")))
            with pytest.raises(InvalidPayload, match="price"):
                await uow.commit()
        assert (uow.commits, uow.rollbacks, bus.sent) == (0, 1, [])


async def test_a_send_that_fails_is_reported_and_loses_no_later_event() -> None:
    async with TestBus() as bus:
        uow = AsyncFakeUnitOfWork(stream=EventStream(BusSink(bus), {Published: BOOKS, Reviewed: LOANS}))
        error = NotConnected("the network is down")
        bus.fail_sending(error)
        with pytest.raises(AfterCommitFailed, match="1 events were not sent") as caught:
            await AsyncMessageBus({Publish: publish}).handle(Publish(titles=["Dune", "Emma"]), uow)
        assert (uow.commits, uow.rollbacks, len(bus.sent)) == (1, 0, 2)

        (not_sent,) = caught.value.errors
        assert isinstance(not_sent, NotSent)
        ((topic, envelope, reason),) = not_sent.unsent
        assert (topic, reason) == (BOOKS, error)
        assert await bus.send_envelopes(topic, [envelope]) == [None]
        assert len(bus.sent_to(BOOKS)) == 2


async def test_a_bus_that_is_closed_reports_every_event() -> None:
    bus = TestBus()
    uow = AsyncFakeUnitOfWork(stream=EventStream(BusSink(bus), BOOKS))
    async with uow:
        uow.emit(Published(title="Dune"), Published(title="Emma"))
        with pytest.raises(AfterCommitFailed) as caught:
            await uow.commit()
    (not_sent,) = caught.value.errors
    assert isinstance(not_sent, NotSent)
    assert len(not_sent.unsent) == 2
    assert uow.committed


class HeldBus(TestBus):
    """Holds what is sent until it is let on."""

    def __init__(self) -> None:
        super().__init__()
        self.sending = asyncio.Event()
        self.free = asyncio.Event()

    async def send_envelopes(
        self, topic: Topic, envelopes: Sequence[Envelope], *, timeout: float = 10.0
    ) -> Sequence[EventsError | None]:
        self.sending.set()
        await self.free.wait()
        return await super().send_envelopes(topic, envelopes, timeout=timeout)


async def test_a_caller_that_is_cancelled_while_events_are_sent_waits_until_they_are() -> None:
    async with HeldBus() as bus:
        uow = AsyncFakeUnitOfWork(stream=EventStream(BusSink(bus), BOOKS))
        task = asyncio.create_task(AsyncMessageBus({Publish: publish}).handle(Publish(titles=["Dune"]), uow))
        await bus.sending.wait()
        task.cancel()
        bus.free.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sent(bus) == [("books", "Published"), ("books", "ReviewedElsewhere")]
