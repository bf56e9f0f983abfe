"""An event that comes twice has one effect, and the bus accepts its second delivery."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from events_core import Context, EventHandlerConsumer, Registration, RetryPolicy
from events_core.errors import AlreadyHandled, ConfigurationError, StoreUnavailable
from events_core.integration import current_context
from events_core.memory import InMemoryInbox
from events_core.outbox import Deduplication, InboxRetention
from events_core.ports import Inbox
from events_core.testing import ManualClock, TestBus
from tests.unit.outbox.scene import ORDERS, Placed, shop

pytestmark = pytest.mark.anyio


class Kitchen:
    """Two handlers of one event; the second fails as often as it is told."""

    def __init__(self, inbox: Inbox | None = None, failures: int = 0) -> None:
        self.done: list[str] = []
        self.attempts: set[int] = set()
        self.failures = failures
        self._inbox = inbox
        self.consumer = EventHandlerConsumer("kitchen", {Placed: [self.cook, self.serve]})

    async def cook(self, event: Placed, context: Context) -> None:
        await self._do("cook", context)

    async def serve(self, event: Placed, context: Context) -> None:
        if self.failures:
            self.failures -= 1
            raise LookupError("no plate")
        await self._do("serve", context)

    async def _do(self, what: str, context: Context) -> None:
        self.attempts.add(context.attempt)
        if self._inbox is None:
            self.done.append(what)
            return
        async with self._inbox.once(context):
            self.done.append(what)


async def deliver_twice(kitchen: Kitchen, registration: Registration) -> TestBus:
    async with TestBus(registration) as bus:
        for _ in range(2):
            await bus.send(ORDERS, Placed("tea"), id="one")
            await bus.idle()
            await bus.clock.advance(10)
            await bus.idle()
        assert await bus.dead_letters("kitchen", ORDERS).list() == []
        return bus


async def test_each_handler_has_its_effect_once() -> None:
    kitchen = Kitchen(InMemoryInbox())
    await deliver_twice(kitchen, Registration(kitchen.consumer, ORDERS))
    assert kitchen.done == ["cook", "serve"]
    assert kitchen.attempts == {1}


async def test_without_an_inbox_it_has_it_twice() -> None:
    kitchen = Kitchen()
    await deliver_twice(kitchen, Registration(kitchen.consumer, ORDERS))
    assert kitchen.done == ["cook", "serve"] * 2


@asynccontextmanager
async def transaction(inbox: Inbox, undo: list[str]) -> AsyncGenerator[Inbox]:
    """Takes back what was done in it when it fails."""
    before = len(undo)
    try:
        yield inbox
    except BaseException:
        del undo[before:]
        raise


async def test_as_a_middleware_it_guards_all_handlers_together() -> None:
    kitchen, inbox = Kitchen(), InMemoryInbox()
    once = Deduplication(lambda _context: transaction(inbox, kitchen.done))
    await deliver_twice(kitchen, Registration(kitchen.consumer, ORDERS, middleware=(once,)))
    assert kitchen.done == ["cook", "serve"]


async def test_handlers_whose_transaction_was_rolled_back_all_run_again() -> None:
    kitchen, inbox = Kitchen(failures=1), InMemoryInbox()
    once = Deduplication(lambda _context: transaction(inbox, kitchen.done))
    policy = RetryPolicy(delays=(1,))
    await deliver_twice(kitchen, Registration(kitchen.consumer, ORDERS, middleware=(once,), retry=policy))
    assert kitchen.done == ["cook", "serve"]


async def cancel_oneself(_clock: ManualClock) -> None:
    raise asyncio.CancelledError


async def take_too_long(clock: ManualClock) -> None:
    await clock.sleep(60)


@pytest.mark.parametrize("end", [take_too_long, cancel_oneself])
async def test_handlers_whose_transaction_was_cancelled_all_run_again(
    end: Callable[[ManualClock], Awaitable[None]],
) -> None:
    done: list[str] = []

    async def cook(event: Placed) -> None:
        done.append("cook")

    async def serve(event: Placed, context: Context) -> None:
        if context.attempt == 1:
            await end(bus.clock)
        done.append(f"serve {context.attempt}")

    inbox = InMemoryInbox()
    once = Deduplication(lambda _context: transaction(inbox, done))
    consumer = EventHandlerConsumer("kitchen", {Placed: [cook, serve]})
    policy = RetryPolicy(delays=(1,))
    async with TestBus(Registration(consumer, ORDERS, middleware=(once,), timeout=5, retry=policy)) as bus:
        await bus.send(ORDERS, Placed("tea"))
        await bus.clock.advance(10)
    assert done == ["cook", "serve 2"]


async def test_a_handler_that_guards_itself_twice_at_once_is_refused() -> None:
    inbox, context = InMemoryInbox(), received()
    with pytest.raises(ConfigurationError, match="twice"):
        async with asyncio.timeout(5), inbox.once(context), inbox.once(context):
            pass
    with pytest.raises(ConfigurationError, match="twice"), inbox.once(context), inbox.once(context):
        pass
    with inbox.once(context):
        pass


async def test_what_somebody_else_handles_just_now_is_not_taken_for_handled() -> None:
    inbox, context = InMemoryInbox(), received()

    def handle() -> None:
        with inbox.once(context):
            raise AssertionError

    with inbox.once(context), pytest.raises(StoreUnavailable, match="just now"):
        await asyncio.to_thread(handle)


async def test_the_second_of_two_deliveries_at_once_waits_for_the_first() -> None:
    inbox, context = InMemoryInbox(), received()
    effects: list[str] = []

    async def handle(effect: str, *, fails: bool) -> None:
        async with inbox.once(context):
            await asyncio.sleep(0)
            if fails:
                raise LookupError
            effects.append(effect)

    outcomes: Sequence[object] = await asyncio.gather(
        handle("first", fails=True), handle("second", fails=False), handle("third", fails=False), return_exceptions=True
    )
    assert effects == ["second"]
    assert [type(each) for each in outcomes] == [LookupError, type(None), AlreadyHandled]


async def test_what_a_handler_puts_into_an_outbox_names_the_event_that_it_handles() -> None:
    async with shop() as scene:

        async def answer(event: Placed) -> None:
            assert current_context() is not None
            scene.outbox.put(ORDERS, Placed("answer"))

        consumer = EventHandlerConsumer("answering", {Placed: [answer]})
        registration = Registration(consumer, ORDERS)
        await scene.bus.register(registration)
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        await scene.bus.send(ORDERS, Placed("question"), id="q", headers=trace)
        await scene.bus.idle()
        await scene.bus.unregister(registration)
        await scene.relay.relay_due()
        _, answered = scene.bus.sent
        assert (answered.correlation_id, answered.causation_id) == ("q", "q")
        assert answered.headers == trace
        assert current_context() is None


class Purged:
    """A store that has had much to forget."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.before: list[float] = []

    async def purge(self, before: float, limit: int) -> int:
        self.before.append(before)
        deleted = min(self.rows, limit)
        self.rows -= deleted
        return deleted


async def test_what_was_handled_is_forgotten_by_time_and_not_at_once() -> None:
    clock, store = ManualClock(), Purged(12_000)
    async with InboxRetention(store, keep=86_400, clock=clock):
        await clock.advance(3_599)
        assert store.before == []
        await clock.advance(1)
        assert store.rows == 0
        assert set(store.before) == {clock.time() - 86_400}


def received() -> Context:
    return Context(
        id="e",
        type="t",
        version=1,
        source="",
        time=None,
        key=None,
        attempt=1,
        correlation_id="e",
        causation_id=None,
        headers={},
        consumer="c",
        topic="orders",
    )
