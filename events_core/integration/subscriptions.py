"""What is registered in this process, and the engines that serve it."""

import asyncio
from collections.abc import Callable

from events_core.errors import DuplicateRegistration
from events_core.integration.broadcast import Hub, Member
from events_core.integration.engine import Engine, Surroundings
from events_core.integration.handling import Handling
from events_core.integration.health import SubscriptionHealth
from events_core.integration.registration import Registration
from events_core.ports import Capabilities, Revoked, Topic

__all__ = ["Subscriptions"]


class Subscriptions:
    """The registrations of a bus by name; on a running bus each has an engine, or is a member of its topic's hub."""

    __slots__ = ("_engines", "_handling", "_handlings", "_hubs", "_registrations", "_surroundings", "_turn")

    def __init__(self, surroundings: Surroundings, handling: Callable[[Registration], Handling]) -> None:
        self._surroundings = surroundings
        self._handling = handling
        self._registrations: dict[str, Registration] = {}
        self._handlings: dict[str, Handling] = {}
        self._engines: dict[str, Engine] = {}
        self._hubs: dict[str, Hub] = {}
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

    def check(self, capabilities: Capabilities) -> None:
        """Refuse what the broker cannot keep."""
        for registration in self.registrations:
            registration.check(capabilities)

    async def start(self, registration: Registration, *, wait: bool) -> None:
        """Consume; with `wait`, return when everything sent from now on is seen."""
        handling = self._handlings[registration.name]
        if registration.broadcast:
            await self._join(Member(registration, handling, self._surroundings), wait=wait)
            return
        engine = self._engines[registration.name] = Engine(registration, handling, self._surroundings)
        if wait:
            await engine.start()
        else:
            engine.start_in_background()

    async def remove(self, registration: Registration, seconds: float) -> None:
        """Drain it for up to so many seconds, and forget it."""
        if self._registrations.get(registration.name) is not registration:
            return
        if (engine := self._engines.pop(registration.name, None)) is not None:
            await engine.drain(seconds)
        elif registration.broadcast:
            await self._leave(registration, seconds)
        self._registrations.pop(registration.name, None)
        self._handlings.pop(registration.name, None)

    async def drain(self, seconds: float) -> None:
        """Drain all at once."""
        running: list[Engine | Member] = [*self._engines.values()]
        running += [member for hub in self._hubs.values() for member in hub.members.values()]
        await asyncio.gather(*(each.drain(seconds) for each in running))
        await asyncio.gather(*(hub.stop() for hub in self._hubs.values()))

    def forget(self) -> None:
        """The bus is shut down; the registrations are for its next start."""
        self._engines.clear()
        self._hubs.clear()

    def revoke(self, notice: Revoked) -> None:
        """Tell the engine whose feed it is."""
        for engine in self._engines.values():
            engine.revoke(notice.feed, notice.lanes)

    async def health(self) -> tuple[SubscriptionHealth, ...]:
        """How all get on."""
        durable = [await engine.health() for engine in self._engines.values()]
        broadcast = [each for hub in self._hubs.values() for each in await hub.health()]
        return (*durable, *broadcast)

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
            hub.members[member.registration.name] = member

    async def _leave(self, registration: Registration, seconds: float) -> None:
        async with self._turn:
            hub = self._hubs.get(registration.topic.name)
            if hub is None:
                return
            member = hub.members.pop(registration.name, None)
            if not hub.members:
                del self._hubs[registration.topic.name]
                await hub.stop()
        if member is not None:
            await member.drain(seconds)
