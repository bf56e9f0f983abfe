"""The integration event bus: what an application sees, over any transport."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from types import FrameType, TracebackType
from typing import Final, Literal, Self, TypedDict, Unpack

from events_core.clock import Clock, SystemClock
from events_core.errors import (
    BusClosed,
    ConfigurationError,
    EventsError,
    NotConnected,
    NotStarted,
)
from events_core.integration.alerts import Alerts
from events_core.integration.backoff import Backoff
from events_core.integration.consumers import check_consumer_name
from events_core.integration.context import Middleware
from events_core.integration.dead_letters import DeadLetters
from events_core.integration.deadlines import Deadlines
from events_core.integration.engine import Surroundings
from events_core.integration.handling import Handling
from events_core.integration.health import Health
from events_core.integration.registration import Registration
from events_core.integration.sealing import seal
from events_core.integration.sender import Sender
from events_core.integration.subscriptions import Subscriptions
from events_core.integration.tasks import Tasks
from events_core.integration.topology import Flow, Topology
from events_core.messages import (
    Codec,
    DomainEvent,
    Envelope,
    IntegrationEvent,
    JsonCodec,
    Sealer,
    check_envelope,
    to_headers,
)
from events_core.ports import Alert, AlertKind, Revoked, Subscription, Topic, Transport, Wire

__all__ = ["BusOptions", "IntegrationEventBus"]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_LAST_SENDS: Final = 5.0
"""Seconds at shutdown in which sends on their way may still be answered."""


class BusOptions(TypedDict, total=False):
    """What every bus takes beside its broker."""

    registrations: Iterable[Registration]
    """As if each were given to `register`."""
    middleware: tuple[Middleware, ...]
    """Around the handlers of every registration, before its own."""
    codec: Codec
    """How events become bytes; JSON by default."""
    clock: Clock
    new_id: Callable[[], str]
    """Makes event ids; 32 random hexadecimal digits by default."""
    connect: Literal["now", "background"]
    """"background": `startup` does not wait for the broker; the bus is not ready until there is one."""


class _State(Enum):
    NEW = "new"
    RUNNING = "running"
    DRAINING = "draining"
    CLOSED = "closed"


class IntegrationEventBus:
    """Sends events to topics and hands those of other services to consumers.

    `source` names who sends, as a URI reference ("users-service"). One bus belongs to one event loop; its methods may be
    called from any task of it, in any order, twice.
    """

    def __init__(self, transport: Transport, *, source: str, **options: Unpack[BusOptions]) -> None:
        self._transport = transport
        self._source = source
        self._codec: Codec = options.get("codec") or JsonCodec()
        self._sealer = Sealer(self._codec, source)
        self._clock: Clock = options.get("clock") or SystemClock()
        self._new_id = options.get("new_id") or _random_id
        self._background = options.get("connect") == "background"
        self._middleware = options.get("middleware", ())
        self._state = _State.NEW
        self._turn = asyncio.Lock()
        self._opened = False
        self._alerts = Alerts()
        self._tasks = Tasks()
        self._deadlines = Deadlines(self._clock)
        self._sender = self._new_sender()
        self._subscriptions = Subscriptions(
            Surroundings(
                transport=transport,
                clock=self._clock,
                deadlines=self._deadlines,
                spawn=self._tasks.spawn,
                alerts=self._alerts,
            ),
            self._handling,
        )
        for registration in options.get("registrations", ()):
            self._subscriptions.add(registration)

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """What is registered in this process, in order."""
        return self._subscriptions.registrations

    def describe(self) -> Topology:
        """What is registered in this process, as a value to look at; it connects to nothing."""
        return Topology(source=self._source, flows=tuple(map(Flow.of, self.registrations)))

    async def startup(self, timeout: float = 30.0) -> None:
        """Connect and subscribe; afterwards every event sent is seen by every registration.

        With `connect="background"` both happen as soon as there is a broker.

        Raises:
            NotConnected: no broker within `timeout` seconds.
            BrokerSetupError: there is one, and it cannot be worked with.
        """
        async with self._turn:
            if self._state is _State.RUNNING:
                return
            self._sender = self._new_sender()
            try:
                self._tasks.spawn(self._deadlines.run(), "deadlines")
                self._tasks.spawn(self._subscriptions.watch_progress(self._clock), "progress")
                await self._connect(timeout)
            except BaseException:
                await self._close()
                raise
            self._state = _State.RUNNING

    async def shutdown(self, deadline: float = 30.0) -> None:
        """Stop intake, give back what has not begun, wait for handlers, settle, disconnect.

        Handlers that still run after `deadline` seconds are cancelled, and their deliveries go back.
        """
        self._refuse_inside_handler("shutdown")
        async with self._turn:
            if self._state is not _State.RUNNING:
                return
            self._state = _State.DRAINING
            try:
                await self._subscriptions.drain(deadline)
                await self._sender.finish(_LAST_SENDS)
            finally:
                self._state = _State.CLOSED
                await self._close()

    async def __aenter__(self) -> Self:
        """Start up."""
        await self.startup()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut down."""
        await self.shutdown()

    async def run(self, deadline: float = 30.0) -> None:
        """Start up, work until SIGTERM or SIGINT, drain for up to `deadline` seconds; to be called in the main thread.

        A second signal ends the process at once, also when a handler blocks the event loop.
        """
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()

        def stop(_number: int, _frame: FrameType | None) -> None:
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            loop.call_soon_threadsafe(asked.set)

        before = {number: signal.signal(number, stop) for number in _SIGNALS}
        try:
            await self.startup()
            try:
                await asked.wait()
            finally:
                await self.shutdown(deadline)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def register(self, registration: Registration) -> None:
        """Add a registration; on a running bus, return when every event sent from now on is seen.

        Raises:
            DuplicateRegistration: this process has this consumer on this topic.
            UnsupportedCapability: the broker cannot keep what the registration asks for.
        """
        if self._state is _State.DRAINING:
            raise BusClosed("the bus is shutting down; register before, or on the next start")
        self._subscriptions.add(registration)
        async with self._turn:
            if self._state is not _State.RUNNING:
                return
            try:
                await self._subscriptions.start(registration, wait=not self._background)
            except BaseException:
                await self._subscriptions.remove(registration, 0)
                raise

    async def unregister(self, registration: Registration, deadline: float = 30.0) -> None:
        """Stop this process's consuming, and nothing else: the subscription and its backlog stay on the broker."""
        self._refuse_inside_handler("unregister", registration)
        await self._subscriptions.remove(registration, deadline)

    async def delete_subscription(self, consumer: str, topic: Topic, *, force: bool = False) -> None:
        """Remove a subscription from the broker; `SubscriptionNotEmpty` while it has a backlog, unless `force`."""
        self._check_running()
        if self._subscriptions.find(consumer, topic) is not None:
            raise ConfigurationError(
                f"{consumer}.{topic.name} is registered here; unregister it first, in every process"
            )
        await self._transport.remove(_durable(consumer, topic), force=force)

    async def retire(self, consumer: str, topic: Topic, event: type[IntegrationEvent]) -> None:
        """Take one event type out of what a subscription wants, for all processes."""
        self._check_running()
        registration = self._subscriptions.find(consumer, topic)
        if registration is not None and event in registration.event_types:
            raise ConfigurationError(f"{consumer} is registered here with {event.__name__}; register it without, first")
        await self._transport.remove(_durable(consumer, topic), types=frozenset({event.type}))

    async def send(
        self,
        topic: Topic,
        event: IntegrationEvent,
        *,
        id: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> str:
        """Return the event's id when the broker has durably accepted it.

        Inside a handler the event inherits correlation, causation and trace context. Waits at most `timeout` seconds.

        Raises:
            SendError: with `event_id`; sending again with this id is safe.
            MessageError: the event cannot travel.
        """
        event_id = id or self._new_id()
        self._check_running(event_id)
        envelope = self.seal(event, id=event_id, key=key, headers=headers)
        await self._sender.send(topic, Wire(to_headers(envelope), envelope.body, envelope.key), timeout)
        return event_id

    def seal(
        self,
        event: IntegrationEvent | DomainEvent,
        *,
        id: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Envelope:
        """Encode an event now, to be sent later with `send_envelopes`; `MessageError` for one that cannot travel."""
        event_id = id or self._new_id()
        return seal(self._sealer, event, id=event_id, time=self._clock.time(), key=key, headers=headers)

    async def send_envelopes(
        self, topic: Topic, envelopes: Sequence[Envelope], *, timeout: float = 10.0
    ) -> Sequence[EventsError | None]:
        """Send what was sealed earlier, as it is; an answer each, in order, None for stored. Raises nothing of them."""
        self._check_running()
        return await asyncio.gather(*(self._send_envelope(topic, each, timeout) for each in envelopes))

    def dead_letters(self, consumer: str, topic: Topic) -> DeadLetters:
        """The dead letters of a subscription, registered here or not."""
        check_consumer_name(consumer)
        return DeadLetters(self._transport, consumer, topic)

    async def health(self) -> Health:
        """How the bus gets on."""
        subscriptions = await self._subscriptions.health()
        running = self._state is _State.RUNNING
        return Health(
            live=self._tasks.failed is None,
            ready=running and self._opened and all(each.connected for each in subscriptions),
            subscriptions=subscriptions,
            alerts=self._alerts.latest,
        )

    async def _send_envelope(self, topic: Topic, envelope: Envelope, timeout: float) -> EventsError | None:
        try:
            check_envelope(envelope)
            await self._sender.send(topic, Wire(to_headers(envelope), envelope.body, envelope.key), timeout)
        except EventsError as error:
            return error
        return None

    async def _connect(self, timeout: float) -> None:
        if self._background:
            self._tasks.spawn(self._connect_in_background(), "connecting")
            for registration in self._subscriptions.registrations:
                await self._subscriptions.start(registration, wait=False)
            return
        try:
            async with asyncio.timeout(timeout):
                await self._transport.open(self._notice)
                self._opened = True
                for registration in self._subscriptions.registrations:
                    await self._subscriptions.start(registration, wait=True)
        except TimeoutError:
            raise NotConnected(
                f"the broker did not answer within {timeout:g} s; look after it, or raise timeout"
            ) from None

    async def _connect_in_background(self) -> None:
        backoff = Backoff(self._clock)
        while not self._opened:
            try:
                await self._transport.open(self._notice)
                self._opened = True
            except Exception as error:  # noqa: BLE001 whatever the broker says, the next try may work
                self._alerts.report(AlertKind.REFUSED, self._source, str(error) or type(error).__name__)
                await backoff.wait()

    async def _close(self) -> None:
        self._sender.close()
        await self._tasks.cancel()
        self._subscriptions.forget()
        self._opened = False
        await self._transport.close()

    def _notice(self, notice: Revoked | Alert) -> None:
        if isinstance(notice, Revoked):
            self._subscriptions.revoke(notice)
        else:
            self._alerts.add(notice)

    def _handling(self, registration: Registration) -> Handling:
        return Handling(
            registration,
            codec=self._codec,
            clock=self._clock,
            deadlines=self._deadlines,
            middleware=self._middleware,
        )

    def _new_sender(self) -> Sender:
        return Sender(self._transport, clock=self._clock, deadlines=self._deadlines, spawn=self._tasks.spawn)

    def _refuse_inside_handler(self, call: str, only: Registration | None = None) -> None:
        if self._subscriptions.is_handled_by(asyncio.current_task(), only):
            advice = f"it would wait for itself; start a task of its own: asyncio.create_task(bus.{call}(...))"
            raise ConfigurationError(f"{call}() was awaited inside a handler, and waits for handlers: {advice}")

    def _check_running(self, event_id: str | None = None) -> None:
        if self._state is _State.NEW:
            raise NotStarted("the bus is not started; await bus.startup() or use `async with bus`")
        if self._state is _State.CLOSED:
            raise BusClosed("the bus is shut down; nothing was sent", event_id=event_id)


def _durable(consumer: str, topic: Topic) -> Subscription:
    check_consumer_name(consumer)
    return Subscription(consumer=consumer, topic=topic)


def _random_id() -> str:
    return os.urandom(16).hex()
