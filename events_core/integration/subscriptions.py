"""What is registered in this process, and the engines that serve it."""

import asyncio
from collections.abc import Callable

from events_core.clock import Clock
from events_core.errors import DuplicateRegistration
from events_core.integration.broadcast import Hub, Member
from events_core.integration.engine import Engine, Surroundings
from events_core.integration.handling import Handling
from events_core.integration.health import SubscriptionHealth
from events_core.integration.progress import LOOK_EVERY
from events_core.integration.registration import Registration
from events_core.ports import Revoked, Topic

__all__ = ["Subscriptions"]


class Subscriptions:
    """The registrations of a bus by name; on a running bus each has an engine, or is a member of its topic's hub."""

    __slots__ = ("_engines", "_handling", "_handlings", "_hubs", "_leaving", "_registrations", "_surroundings", "_turn")

    def __init__(self, surroundings: Surroundings, handling: Callable[[Registration], Handling]) -> None:
        self._surroundings = surroundings
        self._handling = handling
        self._registrations: dict[str, Registration] = {}
        self._handlings: dict[str, Handling] = {}
        self._engines: dict[str, Engine] = {}
        self._hubs: dict[str, Hub] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._turn = asyncio.Lock()

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """In order of registration."""
        return tuple(self._registrations.values())

    def add(self, registration: Registration) -> None:
        """Note it, and build its decoders: what this process cannot read is refused now."""
        if registration.name in self._registrations:
            advice = "give the consumer another name, or register all its events at once"
            raise DuplicateRegistration(f"{registration.name} is registered in this process already; {advice}")
        registration.check(self._surroundings.transport.capabilities)
        self._handlings[registration.name] = self._handling(registration)
        self._registrations[registration.name] = registration

    def find(self, consumer: str, topic: Topic) -> Registration | None:
        """The registration of this consumer on this topic."""
        return self._registrations.get(f"{consumer}.{topic.name}")

    async def start(self, registration: Registration, *, wait: bool) -> None:
        """Consume; with `wait`, return when everything sent from now on is seen. One that was removed is left alone."""
        name = registration.name
        if self._registrations.get(name) is not registration or name in self._engines:
            return
        handling = self._handlings[name]
        if registration.broadcast:
            await self._join(Member(registration, handling, self._surroundings), wait=wait)
            return
        engine = self._engines[name] = Engine(registration, handling, self._surroundings)
        if wait:
            await engine.start()
        else:
            engine.start_in_background()

    async def remove(self, registration: Registration, seconds: float) -> None:
        """Drain it for up to so many seconds, and forget it; a second caller waits for the first."""
        name = registration.name
        if self._registrations.get(name) is not registration:
            return
        if (leaving := self._leaving.get(name)) is not None:
            await asyncio.wait([leaving])
            return
        left = self._leaving[name] = asyncio.get_running_loop().create_future()
        try:
            await self._leave(registration, seconds)
        finally:
            self._engines.pop(name, None)
            del self._leaving[name], self._registrations[name], self._handlings[name]
            left.set_result(None)

    def is_handled_by(self, task: "asyncio.Task[object] | None", only: Registration | None = None) -> bool:
        """Whether this task runs a handler, of any registration or of one."""
        running = self._running() if only is None else self._running_of(only)
        return any(each.is_handled_by(task) for each in running)

    async def drain(self, seconds: float) -> None:
        """Drain all at once."""
        await asyncio.gather(*(each.drain(seconds) for each in self._running()))
        await asyncio.gather(*(hub.stop() for hub in self._hubs.values()))

    def forget(self) -> None:
        """The bus is shut down; the registrations are for its next start."""
        self._engines.clear()
        self._hubs.clear()

    def revoke(self, notice: Revoked) -> None:
        """Tell the engine whose feed it is."""
        for engine in self._engines.values():
            engine.revoke(notice.feed, notice.lanes)

    async def watch_progress(self, clock: Clock) -> None:
        """Subscribe anew where a durable subscription stands still; until cancelled."""
        while True:
            await clock.sleep(LOOK_EVERY)
            for engine in tuple(self._engines.values()):
                await engine.look()

    async def health(self) -> tuple[SubscriptionHealth, ...]:
        """How all get on."""
        durable = [await engine.health() for engine in self._engines.values()]
        broadcast = [each for hub in self._hubs.values() for each in await hub.health()]
        return (*durable, *broadcast)

    def _running(self) -> list[Engine | Member]:
        members = [member for hub in self._hubs.values() for member in hub.members.values()]
        return [*self._engines.values(), *members]

    def _running_of(self, registration: Registration) -> list[Engine | Member]:
        # Looked up by name: thousands of registrations may leave at once.
        hub = self._hubs.get(registration.topic.name)
        member = None if hub is None else hub.members.get(registration.name)
        return [each for each in (self._engines.get(registration.name), member) if each is not None]

    async def _join(self, member: Member, *, wait: bool) -> None:
        topic = member.registration.topic
        async with self._turn:
            hub = self._hubs.get(topic.name)
            if hub is None:
                hub = Hub(topic, self._surroundings)
                if wait:
                    await hub.start()
                else:
                    hub.start_in_background()
                self._hubs[topic.name] = hub
            hub.members.setdefault(member.registration.name, member)

    async def _leave(self, registration: Registration, seconds: float) -> None:
        if (engine := self._engines.get(registration.name)) is not None:
            await engine.drain(seconds)
        hub = self._hubs.get(registration.topic.name)
        if hub is None or (member := hub.members.get(registration.name)) is None:
            return
        await member.drain(seconds)
        async with self._turn:
            hub.members.pop(registration.name, None)
            if not hub.members and self._hubs.get(registration.topic.name) is hub:
                del self._hubs[registration.topic.name]
                await hub.stop()
