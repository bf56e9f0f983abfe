"""Every event from a broker is handled in a scope of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from dishka import AsyncContainer, FromDishka, Provider, Scope, make_async_container

from events_core import (
    AsyncMessageBus,
    Context,
    EventHandlerConsumer,
    IntegrationEvent,
    Registration,
    RetryPolicy,
    Topic,
)
from events_core.errors import ConfigurationError
from events_core.testing import TestBus
from events_dishka import RequestBus, RequestScope, handling_in, inject, provided
from tests.adapters.dishka.shop import Register, Session, Sessions, Unit, UserRegistered

pytestmark = pytest.mark.anyio
USERS = Topic("users")


async def consume(container: AsyncContainer, *handlers: Callable[..., Any]) -> None:
    """Send Ada and Bob through these handlers, again after a second if they fail."""
    consumer = EventHandlerConsumer("welcome", {UserRegistered: handlers}, dependencies={"session": provided(Session)})
    scope = (RequestScope(container),)
    registration = Registration(consumer, USERS, concurrency=1, retry=RetryPolicy(delays=(1,)), middleware=scope)
    async with TestBus(registration) as bus:
        for name in ("Ada", "Bob"):
            await bus.send(USERS, UserRegistered(name=name))
        await bus.clock.advance(1)


async def write(event: UserRegistered, session: Session) -> None:
    session.written.append(event.name)


def write_from_a_thread(event: UserRegistered, session: Session) -> None:
    session.written.append(f"{event.name}, from a thread")


@inject
async def write_as_marked(event: UserRegistered, context: Context, session: FromDishka[Session]) -> None:
    session.written.append(f"{event.name}, attempt {context.attempt}")


async def test_all_handlers_of_an_event_share_a_session(container: AsyncContainer, sessions: Sessions) -> None:
    await consume(container, write, write_from_a_thread, write_as_marked)
    assert [each.written for each in sessions] == [
        ["Ada", "Ada, from a thread", "Ada, attempt 1"],
        ["Bob", "Bob, from a thread", "Bob, attempt 1"],
    ]


async def test_the_session_of_an_event_is_closed_once(container: AsyncContainer, sessions: Sessions) -> None:
    await consume(container, write, write_as_marked)
    assert [(each.closed, each.error) for each in sessions] == [(1, None), (1, None)]


async def test_a_session_sees_the_error_and_the_retry_gets_another_one(
    container: AsyncContainer, sessions: Sessions
) -> None:
    error = OSError("the mail server is down")

    async def fail_at_first(event: UserRegistered, context: Context, session: Session) -> None:
        session.written.append(f"{event.name}, attempt {context.attempt}")
        if event.name == "Ada" and context.attempt == 1:
            raise error

    await consume(container, fail_at_first)
    assert [(each.written, each.error, each.closed) for each in sessions] == [
        (["Ada, attempt 1"], error, 1),
        (["Bob, attempt 1"], None, 1),
        (["Ada, attempt 2"], None, 1),
    ]


async def test_handlers_that_share_a_session_run_again_together(container: AsyncContainer, sessions: Sessions) -> None:
    async def fail_at_first(event: UserRegistered, context: Context) -> None:
        if event.name == "Ada" and context.attempt == 1:
            raise OSError

    await consume(container, write, fail_at_first)
    kept = [each.written for each in sessions if each.error is None]
    assert kept == [["Bob"], ["Ada"]]


async def test_an_event_whose_session_cannot_be_closed_is_handled_again(
    container: AsyncContainer, sessions: Sessions
) -> None:
    @inject
    async def break_the_first_session(event: UserRegistered, session: FromDishka[Session]) -> None:
        session.breaks = session.number == 0

    await consume(container, write, break_the_first_session)
    assert [each.written for each in sessions] == [["Ada"], ["Bob"], ["Ada"]]


async def test_providers_may_ask_for_the_event_and_its_context() -> None:
    greetings: list[str] = []

    def greeting(event: IntegrationEvent, context: Context) -> str:
        return f"{event.to_dict()['name']} at {context.consumer}"

    @inject
    async def greet(event: UserRegistered, greeting: FromDishka[str]) -> None:
        greetings.append(greeting)

    provider = Provider(scope=Scope.REQUEST)
    provider.from_context(IntegrationEvent)
    provider.from_context(Context)
    provider.provide(greeting)
    container = make_async_container(provider)
    await consume(container, greet)
    await container.close()
    assert greetings == ["Ada at welcome", "Bob at welcome"]


async def test_an_event_is_handed_to_the_message_bus_with_the_unit_of_work_of_its_scope(
    container: AsyncContainer, sessions: Sessions
) -> None:
    @inject
    async def hand_over(event: UserRegistered, bus: FromDishka[RequestBus]) -> None:
        await bus.handle(Register(name=event.name))

    await consume(container, hand_over)
    assert [each.written for each in sessions] == [["Ada"], ["Bob"]]


async def test_marked_handlers_are_found_and_given_what_they_want(container: AsyncContainer) -> None:
    bus = AsyncMessageBus()
    bus.scan("tests.adapters.dishka.listening")
    async with container() as request:
        session = await request.get(Session)
        unit = await request.get(Unit)
        with handling_in(request):
            assert (await bus.handle(Register(name="Ada"), unit)).first == session.number
    assert session.written == ["Ada, marked"]


async def test_a_handler_with_marks_keeps_its_name(container: AsyncContainer) -> None:
    consumer = EventHandlerConsumer("welcome", {UserRegistered: [write_as_marked]})
    (handler,) = consumer.handlers_of(UserRegistered)
    assert handler.name == f"{__name__}.write_as_marked"


def test_a_plain_function_cannot_be_marked() -> None:
    with pytest.raises(ConfigurationError, match="write_from_a_thread is no coroutine function"):
        inject(write_from_a_thread)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] refused at run time as well


async def test_without_a_scope_the_error_says_what_to_do(sessions: Sessions) -> None:
    consumer = EventHandlerConsumer("welcome", {UserRegistered: [write]}, dependencies={"session": provided(Session)})
    async with TestBus(Registration(consumer, USERS, retry=RetryPolicy(dead_letter_on=(ConfigurationError,)))) as bus:
        await bus.send(USERS, UserRegistered(name="Ada"))
        await bus.idle()
        (letter,) = await bus.dead_letters("welcome", USERS).list()
    assert "middleware=(RequestScope(container),)" in letter.error
