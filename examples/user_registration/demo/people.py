"""People who register over HTTP."""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import uuid4

import httpx

AT_ONCE: Final = 10
PATIENCE: Final = 30.0
"""Seconds that somebody waits for an answer."""
CREATED: Final = 201


class Person(NamedTuple):
    """Somebody with an address that nobody else has."""

    name: str
    email: str


class Visit(NamedTuple):
    """Somebody's registration, and the answer."""

    person: Person
    status: int
    detail: str
    """What was said beside the status, where it did not work."""


class Crowd:
    """Makes people up, and lets them register. `run` is in every address: an earlier run knows none of them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.visits: list[Visit] = []
        self._client = client
        self._run = uuid4().hex[:4]
        self._doors = asyncio.Semaphore(AT_ONCE)

    @property
    def registered(self) -> int:
        """How many were answered that they are users now."""
        return len(self.addresses)

    @property
    def addresses(self) -> list[str]:
        """Those of the users."""
        return [visit.person.email for visit in self.visits if visit.status == CREATED]

    def person(self, name: str) -> Person:
        """The one of this name."""
        return Person(name, f"{name.split(maxsplit=1)[0].lower()}+{self._run}@example.org")

    async def register(self, person: Person) -> Visit:
        """Let one register."""
        async with self._doors:
            answer = await self._client.post("/users", json=person._asdict())
        detail = "" if answer.status_code == CREATED else str(answer.json()["detail"])
        visit = Visit(person, answer.status_code, detail)
        self.visits.append(visit)
        return visit

    async def register_all(self, people: Iterable[Person]) -> list[Visit]:
        """Let many register, `AT_ONCE` at a time."""
        return list(await asyncio.gather(*map(self.register, people)))
