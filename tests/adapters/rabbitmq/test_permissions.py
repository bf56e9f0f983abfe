"""A process that may not write everywhere."""

import asyncio
from collections.abc import Generator

import pytest

from brokers import RabbitMQ
from events_core.conformance.events import Noted
from events_core.conformance.recorder import Handled, Recorder
from events_core.conformance.stage import Stage
from events_core.errors import SendRejected
from events_core.integration import IntegrationEventBus, Registration, RetryPolicy
from events_core.ports import Topic
from events_rabbitmq import RabbitMQEventBus, RabbitMQTransport
from tests.adapters.rabbitmq.strangers import on_channel

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

ALLOWED, FORBIDDEN = Topic("scribes.allowed"), Topic("scribes.forbidden")
ATTEMPTS = 15
PATIENCE = 20.0
WRITING = r"scribes\.allowed|first\..*"
SCRIBE, PASSWORD = "scribe", "ink"


@pytest.fixture(scope="module")
def url(rabbitmq: RabbitMQ) -> Generator[str]:
    """For a user who may make and read anything, and write to one topic."""
    rabbitmq.control("add_user", SCRIBE, PASSWORD)
    rabbitmq.control("set_permissions", SCRIBE, ".*", WRITING, ".*")
    yield rabbitmq.url.replace("guest:guest", f"{SCRIBE}:{PASSWORD}")
    rabbitmq.control("delete_user", SCRIBE)


@pytest.fixture
async def bus(url: str) -> IntegrationEventBus:
    return RabbitMQEventBus(url, source="tests")


async def permit(rabbitmq: RabbitMQ, writing: str) -> None:
    """What the user may write to from now on; a channel that asked before may still go by the old answer."""
    await asyncio.to_thread(rabbitmq.control, "set_permissions", SCRIBE, ".*", writing, ".*")


async def keep_sending(bus: IntegrationEventBus, over: asyncio.Event) -> int:
    """Send to the topic that is allowed until told to end; how many were confirmed: any error is raised."""
    sent = 0
    while not over.is_set():
        await bus.send(ALLOWED, Noted(sent))
        sent += 1
    return sent


async def test_a_topic_one_may_not_write_to_costs_no_send_to_another(bus: IntegrationEventBus) -> None:
    over = asyncio.Event()
    async with bus, asyncio.TaskGroup() as sending:
        others = [sending.create_task(keep_sending(bus, over)) for _ in range(20)]
        refused: list[BaseException] = []
        for number in range(ATTEMPTS):
            (answer,) = await asyncio.gather(bus.send(FORBIDDEN, Noted(number)), return_exceptions=True)
            assert isinstance(answer, BaseException)
            refused.append(answer)
        over.set()
    assert {type(each) for each in refused} == {SendRejected}
    assert all("ACCESS_REFUSED" in str(each) and FORBIDDEN.name in str(each) for each in refused), refused
    assert all(each.result() for each in others)


async def test_many_sends_at_once_to_a_topic_one_may_not_write_to_are_all_rejected(bus: IntegrationEventBus) -> None:
    async with bus:
        answers = await asyncio.gather(
            *(bus.send(FORBIDDEN, Noted(n)) for n in range(200)),
            *(bus.send(ALLOWED, Noted(n), id=str(n)) for n in range(200)),
            return_exceptions=True,
        )
    assert {type(each) for each in answers[:200]} == {SendRejected}
    assert answers[200:] == [str(n) for n in range(200)]


async def test_a_permission_that_is_given_later_is_noticed(rabbitmq: RabbitMQ, url: str) -> None:
    topic = Topic("scribes.later")

    async with RabbitMQEventBus(url, source="tests") as bus:
        with pytest.raises(SendRejected):
            await bus.send(topic, Noted(1))
        await permit(rabbitmq, r"scribes\..*")
        assert await bus.send(topic, Noted(1), id="1") == "1"
        await permit(rabbitmq, WRITING)
    await on_channel(rabbitmq.url, lambda channel: channel.exchange_delete(topic.name))


async def test_a_retry_that_may_not_be_written_costs_no_send(stage: Stage, rabbitmq: RabbitMQ, url: str) -> None:
    """It may not publish by a queue's name any more, so that its retries are refused, again and again."""

    async def fail(call: Handled) -> None:
        raise OSError("never")

    recorder = Recorder("first", patience=PATIENCE, act=fail)
    failing = stage.note(Registration(recorder, stage.topic, retry=RetryPolicy(delays=(1.0,))))
    bus = stage.over(RabbitMQTransport(url), failing)
    await permit(rabbitmq, ".*")
    await bus.startup()
    await permit(rabbitmq, WRITING)
    await stage.send_numbers(1)
    await recorder.begin(1)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as sending:
        others = [sending.create_task(keep_sending(bus, over)) for _ in range(20)]

        async def is_reported() -> bool:
            return sum("refused" in each.detail for each in (await bus.health()).alerts) > 0

        await stage.until(is_reported, "the refusal reported")
        over.set()
    assert all(each.result() for each in others)
    await bus.shutdown(1)
