"""The rooms of one server, over a bus. Nothing here knows of sockets or pages."""

import asyncio
import logging
from typing import Final

from events_core import EventsError, IntegrationEventBus, Registration, RetryPolicy
from events_core.integration import Topology
from examples.online_chat.events import Joined, Left, RoomEvent, Said, topic_of
from examples.online_chat.person import Person

PATIENCE: Final = 5.0
"""Seconds that a person waits for the broker."""

_log = logging.getLogger("online_chat")


def registration_of(person: Person) -> Registration:
    """Everybody gets what is said in the room, now or never, one thing after the other."""
    return Registration(
        person, topic_of(person.room), broadcast=True, concurrency=1, prefetch=1_000, retry=RetryPolicy(delays=())
    )


class Chat:
    """Lets people in and out, and passes on what they say."""

    def __init__(self, bus: IntegrationEventBus) -> None:
        self._bus = bus
        self._present: dict[str, Registration] = {}

    async def join(self, person: Person) -> None:
        """From now on the person sees what happens in the room, beginning with the own arrival.

        Raises:
            EventsError: the broker cannot be reached; the person is not in the room.
            TimeoutError: the same, as it does not answer.
        """
        registration = self._present[person.id] = registration_of(person)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._bus.register(registration)
            await self._send(person, Joined(person=person.id, name=person.called))
        except BaseException:
            await self._forget(person)
            raise

    async def say(self, person: Person, text: str) -> None:
        """Everybody in the room sees it, on whichever server; `EventsError` if it was not sent."""
        await self._send(person, Said(person=person.id, name=person.called, text=text))

    async def leave(self, person: Person) -> None:
        """The person sees nothing more; whoever is left is told, if the broker can be reached."""
        await self._forget(person)
        try:
            await self._send(person, Left(person=person.id, name=person.called))
        except EventsError as error:
            _log.warning("nobody was told that %s left: %s", person.called, error)

    async def is_ready(self) -> bool:
        return (await self._bus.health()).ready

    @property
    def people(self) -> int:
        """How many are here, on this server."""
        return len(self._present)

    @property
    def topology(self) -> Topology:
        """Who is where: a consumer for everybody, a topic for every room."""
        return self._bus.describe()

    async def _send(self, person: Person, event: RoomEvent) -> None:
        await self._bus.send(topic_of(person.room), event, timeout=PATIENCE)

    async def _forget(self, person: Person) -> None:
        if (registration := self._present.pop(person.id, None)) is not None:
            await self._bus.unregister(registration, deadline=PATIENCE)
