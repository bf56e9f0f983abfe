"""From a delivery to its settlement: decode, middleware, handlers, and the decision about a failure."""

import asyncio
import inspect
import math
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, cast

from anyio import CapacityLimiter, to_thread

from events_core.clock import Clock
from events_core.errors import (
    AlreadyHandled,
    HandlerTimeout,
    HandlingError,
    MessageError,
    RetryLater,
    RolledBack,
    UnknownContract,
)
from events_core.handlers import Handler, Scope
from events_core.integration import attributes
from events_core.integration.consumers import dependencies_of, handlers_of
from events_core.integration.context import Call, Context, Middleware, handling_in
from events_core.integration.deadlines import Deadlines
from events_core.integration.registration import Registration
from events_core.integration.retry import GiveUp, Retry
from events_core.messages import BUS_PREFIX, Codec, Decoders, Envelope, IntegrationEvent, from_headers, to_headers
from events_core.ports import Delivery, Settlement, Verdict

__all__ = ["Handling", "Run"]

_A_DAY: Final = 24 * 60 * 60.0
_FLOAT_NOISE: Final = 1e-6
"""Seconds: a float of seconds since the epoch is no more exact than this."""


class Run:
    """One delivery while it is handled, in the task that handles it."""

    __slots__ = ("delivery", "expired", "since", "task", "thread")

    def __init__(self, delivery: Delivery, task: "asyncio.Task[object]", since: float) -> None:
        self.delivery: Delivery = delivery
        self.task: asyncio.Task[object] = task
        self.since: float = since
        self.expired: bool = False
        self.thread: asyncio.Future[None] | None = None
        """Ends with a thread that nobody waits for any more: it keeps its slot until then."""

    def expire(self) -> None:
        """Its time is over."""
        self.expired = True
        self.task.cancel()


class Handling:
    """Handles the deliveries of one registration. What a handler does never raises here; cancellation does."""

    def __init__(
        self,
        registration: Registration,
        *,
        codec: Codec,
        clock: Clock,
        deadlines: Deadlines,
        middleware: Sequence[Middleware],
    ) -> None:
        self._registration = registration
        self._codec = codec
        self._clock = clock
        self._deadlines = deadlines
        self._middleware = (*middleware, *registration.middleware)
        self._decoders = Decoders(codec, registration.event_types)
        self._dependencies = dependencies_of(registration.consumer)
        self._handlers: dict[type[IntegrationEvent], tuple[Handler, ...]] = {
            each: handlers_of(registration.consumer, each) for each in registration.event_types
        }

    @property
    def types(self) -> frozenset[str]:
        """The names of the types it can read, older ones that are upcast included."""
        return self._decoders.types

    async def __call__(self, delivery: Delivery, run: Run) -> Settlement:
        """Decide what becomes of a delivery."""
        try:
            read = self._too_early(delivery) or self._read(delivery)
            return read if isinstance(read, Settlement) else await self._handle(delivery, *read, run)
        except Exception as error:  # noqa: BLE001 a delivery that nobody settles would hold its place for ever
            headers = {"id": delivery.origin, **delivery.wire.headers}
            return self._give_up(delivery, headers, "the bus could not settle it", error)

    def _read(self, delivery: Delivery) -> tuple[Envelope, IntegrationEvent] | Settlement:
        """The event, or what becomes of a delivery that holds none for this consumer."""
        wire = delivery.wire
        try:
            envelope = from_headers(wire.headers, wire.body, codec=self._codec, fallback_id=delivery.origin)
        except MessageError as error:
            return self._give_up(delivery, {"id": delivery.origin, **wire.headers}, "malformed", error)
        try:
            return envelope, self._decoders.decode(envelope.type, envelope.version, envelope.body)
        except UnknownContract as error:
            return self._wait_for_newer(delivery, envelope, error)
        except MessageError as error:
            return self._give_up(delivery, _headers(delivery, envelope), "unreadable", error)

    async def _handle(self, delivery: Delivery, envelope: Envelope, event: IntegrationEvent, run: Run) -> Settlement:
        policy = self._registration.retry
        attempt = attributes.number(delivery.wire.headers, attributes.ATTEMPT, 1)
        succeeded = [name for name in delivery.wire.headers.get(attributes.SUCCEEDED, "").split(",") if name]
        self._deadlines.watch(run, self._registration.timeout)
        try:
            while True:
                error = await self._attempt(event, self._context(envelope, attempt), succeeded, run)
                if error is None:
                    return Settlement(delivery, Verdict.ACCEPT)
                if attempt > policy.immediate or not _again_at_once(error, self._decide(attempt, error)):
                    return self._failed(delivery, envelope, attempt, succeeded, error)
                attempt += 1
        finally:
            self._deadlines.forget(run)

    async def _attempt(
        self, event: IntegrationEvent, context: Context, succeeded: list[str], run: Run
    ) -> Exception | None:
        try:
            with handling_in(context):
                error = await self._outcome(event, context, succeeded, run)
        except asyncio.CancelledError:
            if not run.expired and run.task.cancelling():
                raise
            error = HandlingError("the handler was cancelled, and not by the bus")
        if not run.expired:
            return error
        if run.task.uncancel():
            raise asyncio.CancelledError
        return HandlerTimeout(
            f"handled for more than {self._registration.timeout:g} s; make it faster or raise timeout"
        )

    async def _outcome(
        self, event: IntegrationEvent, context: Context, succeeded: list[str], run: Run
    ) -> Exception | None:
        before = len(succeeded)
        try:
            await self._call(event, context, succeeded, run)()
        except AlreadyHandled:
            return None
        except RolledBack as error:
            del succeeded[before:]
            return error.reason
        except asyncio.CancelledError:
            # It cannot say whether a middleware rolled something back: handlers may run again, but are never skipped.
            if self._middleware:
                del succeeded[before:]
            raise
        except Exception as error:  # noqa: BLE001 whatever a handler raises is an outcome
            return error
        return None

    def _call(self, event: IntegrationEvent, context: Context, succeeded: list[str], run: Run) -> Call:
        async def handlers() -> None:
            await self._run_handlers(event, context, succeeded, run)

        call: Call = handlers
        for middleware in reversed(self._middleware):
            call = _around(middleware, event, context, call)
        return call

    async def _run_handlers(self, event: IntegrationEvent, context: Context, succeeded: list[str], run: Run) -> None:
        errors: list[Exception] = []
        scope = self._dependencies.scope({"context": context})
        for handler in self._handlers[type(event)]:
            if handler.name in succeeded:
                continue
            try:
                with suppress(AlreadyHandled):
                    await _invoke(handler, event, scope, run)
            except Exception as error:  # noqa: BLE001 the other handlers of the event run all the same
                errors.append(error)
            else:
                succeeded.append(handler.name)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several handlers failed", errors)

    def _decide(self, attempt: int, error: Exception) -> Retry | GiveUp:
        """Of several failures the one that waits longest; what cannot be cured alone decides nothing for the rest."""
        decisions = [self._registration.retry.decide(attempt, each) for each in _leaves(error)]
        retries = [each for each in decisions if isinstance(each, Retry)]
        return max(retries, key=lambda each: each.after) if retries else decisions[0]

    def _failed(
        self, delivery: Delivery, envelope: Envelope, attempt: int, succeeded: Sequence[str], error: Exception
    ) -> Settlement:
        now = attributes.milliseconds(self._clock.time())
        headers = {attributes.FIRST_FAILURE: now, **_headers(delivery, envelope), attributes.LAST_FAILURE: now}
        if succeeded:
            headers[attributes.SUCCEEDED] = ",".join(succeeded)
        decision = self._decide(attempt, error)
        if isinstance(decision, GiveUp):
            return self._give_up(delivery, headers | {attributes.ATTEMPT: str(attempt)}, decision.reason, error)
        headers[attributes.ATTEMPT] = str(attempt + 1)
        return self._retry(delivery, headers, decision.after)

    def _retry(self, delivery: Delivery, headers: dict[str, str], after: float) -> Settlement:
        step = self._registration.retry.step_for(after)
        if after > step:
            # No step is long enough: it comes back early, is not begun, and waits again.
            headers[attributes.NOT_BEFORE] = attributes.milliseconds(self._clock.time() + after)
        return Settlement(delivery, Verdict.RETRY, step, headers)

    def _too_early(self, delivery: Delivery) -> Settlement | None:
        due = attributes.number(delivery.wire.headers, attributes.NOT_BEFORE, 0) / 1000
        if not due or (remaining := due - self._clock.time()) < _FLOAT_NOISE:
            return None
        step = self._registration.retry.step_for(remaining)
        return Settlement(delivery, Verdict.RETRY, step, dict(delivery.wire.headers))

    def _wait_for_newer(self, delivery: Delivery, envelope: Envelope, error: UnknownContract) -> Settlement:
        """During a rolling deploy another replica may know it; after a day nobody does."""
        now = self._clock.time()
        headers = {attributes.WAITING_SINCE: attributes.milliseconds(now), **_headers(delivery, envelope)}
        waiting_since = attributes.number(headers, attributes.WAITING_SINCE, 0) / 1000
        if now - waiting_since >= _A_DAY:
            return self._give_up(delivery, headers, "unknown contract", error)
        return Settlement(delivery, Verdict.RETRY, self._registration.retry.steps[-1], headers)

    def _give_up(self, delivery: Delivery, headers: dict[str, str], reason: str, error: Exception) -> Settlement:
        now = attributes.milliseconds(self._clock.time())
        letter = {
            attributes.ATTEMPT: "1",
            attributes.FIRST_FAILURE: now,
            attributes.LAST_FAILURE: now,
            **headers,
            attributes.ORIGIN: self._registration.name,
            attributes.REASON: attributes.one_line(reason),
            **attributes.failure_headers(error),
        }
        return Settlement(delivery, Verdict.DEAD_LETTER, headers=letter)

    def _context(self, envelope: Envelope, attempt: int) -> Context:
        time = envelope.time
        return Context(
            id=envelope.id,
            type=envelope.type,
            version=envelope.version,
            source=envelope.source,
            time=datetime.fromtimestamp(time, UTC) if time else None,
            key=envelope.key,
            attempt=attempt,
            correlation_id=envelope.correlation_id or envelope.id,
            causation_id=envelope.causation_id,
            headers=envelope.headers,
            consumer=self._registration.consumer.name,
            topic=self._registration.topic.name,
        )


def _around(middleware: Middleware, event: IntegrationEvent, context: Context, call: Call) -> Call:
    def wrapped() -> Coroutine[object, object, None]:
        return middleware(event, context, call)

    return wrapped


async def _invoke(handler: Handler, event: IntegrationEvent, scope: Scope, run: Run) -> None:
    given = await scope.arguments_async(handler)
    if "context" in given:
        given["context"] = replace(cast("Context", given["context"]), handler=handler.name)

    def call() -> object:
        return handler.call(event, **given)

    outcome = call() if handler.is_async else await _in_thread(call, run)
    if inspect.isawaitable(outcome):
        await outcome


async def _in_thread(call: Callable[[], object], run: Run) -> object:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    begun = False

    def work() -> object:
        nonlocal begun
        begun = True
        try:
            return call()
        finally:
            with suppress(RuntimeError):  # the loop may be closed: then nobody waits for the slot
                loop.call_soon_threadsafe(ended.set_result, None)

    try:
        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=CapacityLimiter(math.inf))
    except asyncio.CancelledError:
        run.thread = ended if begun else None
        raise


def _again_at_once(error: Exception, decision: Retry | GiveUp) -> bool:
    if isinstance(error, (HandlerTimeout, RetryLater)):
        return False
    return isinstance(decision, Retry) and not decision.after


def _leaves(error: Exception) -> list[Exception]:
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return [leaf for each in group.exceptions for leaf in _leaves(each)]
    return [error]


def _headers(delivery: Delivery, envelope: Envelope) -> dict[str, str]:
    """The event's own, and the bus's that outlive an attempt: who fails in order is no suspect any more."""
    bus = {name: value for name, value in delivery.wire.headers.items() if name.startswith(BUS_PREFIX)}
    return {**to_headers(envelope), **attributes.without(bus, (attributes.SUSPECT, attributes.NOT_BEFORE))}
