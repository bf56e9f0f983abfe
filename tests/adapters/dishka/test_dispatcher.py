"""The handlers of a dispatcher live in the scope of whoever asks for it."""

import pytest
from dishka import AsyncContainer

from events_core.domain import DomainEventDispatcher
from tests.adapters.dishka.shop import Session, Sessions, UserInvited

pytestmark = pytest.mark.anyio


async def test_a_handler_has_the_session_of_the_caller(container: AsyncContainer) -> None:
    async with container() as request:
        session = await request.get(Session)
        async with await request.get(DomainEventDispatcher) as dispatcher:
            dispatcher.store_event(UserInvited(name="Ada"))
        assert session.written[0] == "invitation for Ada"


async def test_an_event_that_a_handler_stores_is_handled_with_the_same_session(
    container: AsyncContainer, sessions: Sessions
) -> None:
    async with container() as request, await request.get(DomainEventDispatcher) as dispatcher:
        dispatcher.store_event(UserInvited(name="Ada"))
    assert [each.written for each in sessions] == [["invitation for Ada", "one more invitation"]]


async def test_the_session_is_closed_once_and_by_the_request(container: AsyncContainer, sessions: Sessions) -> None:
    async with container() as request:
        async with await request.get(DomainEventDispatcher) as dispatcher:
            dispatcher.store_events([UserInvited(name="Ada"), UserInvited(name="Bob")])
        assert [each.closed for each in sessions] == [0]
    assert [each.closed for each in sessions] == [1]


async def test_another_request_has_another_session(container: AsyncContainer, sessions: Sessions) -> None:
    for name in ("Ada", "Bob"):
        async with container() as request, await request.get(DomainEventDispatcher) as dispatcher:
            dispatcher.store_event(UserInvited(name=name))
    assert [each.written[0] for each in sessions] == ["invitation for Ada", "invitation for Bob"]
