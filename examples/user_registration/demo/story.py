"""What is played: people register, one of them twice, and the broker is away for a while."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from brokers import Broker
from examples.user_registration.demo.blocking import done
from examples.user_registration.demo.people import CREATED, Person, Visit
from examples.user_registration.demo.stage import Stage
from examples.user_registration.demo.telling import Telling

NAMES: Final = ("Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Donald Knuth")
TWIN: Final = "Mary Shaw"
LAST: Final = "Leslie Lamport"
CONFLICT: Final = 409
AWAY: Final = 3.0
"""Seconds that the broker stays away."""


class NotAsItShould(Exception):
    """Somebody got another answer than expected."""


async def play(stage: Stage, telling: Telling, *, people: int) -> None:
    """Play it; return when everybody who registered has been mailed."""
    await _welcome(stage, telling)
    await _register_twice(stage, telling)
    if stage.surroundings.broker is not None:
        await _without_broker(stage, telling, stage.surroundings.broker, people)
    else:
        telling.say("A broker that was started elsewhere is not stopped here.")
        await _register_many(stage, telling, people)
    # What comes twice would most likely have come before the mail to the last one.
    await _expect(stage.crowd.register(stage.crowd.person(LAST)), CREATED)
    await stage.all_mailed()
    telling.mails_so_far(stage)


async def _welcome(stage: Stage, telling: Telling) -> None:
    telling.title("Five people register")
    for name in NAMES:
        telling.answer(await _expect(stage.crowd.register(stage.crowd.person(name)), CREATED))
    await stage.all_mailed()
    for mail in stage.mails:
        telling.mail(mail)


async def _register_twice(stage: Stage, telling: Telling) -> None:
    telling.title("The same address again")
    name, email = stage.crowd.person(NAMES[0])
    telling.answer(await _expect(stage.crowd.register(Person(name, email.upper())), CONFLICT))
    twin = stage.crowd.person(TWIN)
    telling.say("and twice at the same moment:")
    visits = await stage.crowd.register_all([twin, twin])
    for visit in visits:
        telling.answer(visit)
    if sorted(visit.status for visit in visits) != [CREATED, CONFLICT]:
        raise NotAsItShould("two people have the same address, or nobody has it")


async def _without_broker(stage: Stage, telling: Telling, broker: Broker, people: int) -> None:
    telling.title("The broker goes away")
    await stage.all_mailed()
    await done(broker.stop)
    telling.say("It is stopped. Registering goes on.")
    began = asyncio.get_running_loop().time()
    await _register_many(stage, telling, people)
    await asyncio.sleep(max(0.0, began + AWAY - asyncio.get_running_loop().time()))
    telling.health(await stage.health())
    telling.mails_so_far(stage)
    await done(broker.start)
    telling.say("It is back.")


async def _register_many(stage: Stage, telling: Telling, people: int) -> None:
    crowd = [stage.crowd.person(f"Guest{number} Somebody") for number in range(people)]
    visits = await stage.crowd.register_all(crowd)
    if odd := [visit for visit in visits if visit.status != CREATED]:
        raise NotAsItShould(f"{len(odd)} of {people} could not register: {odd[0].status} {odd[0].detail}")
    telling.say(f"{CREATED}  {people} more people")


async def _expect(answer: Awaitable[Visit], status: int) -> Visit:
    visit = await answer
    if visit.status != status:
        raise NotAsItShould(f"{visit.person.email} got {visit.status}, not {status}: {visit.detail}")
    return visit
