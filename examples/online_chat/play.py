"""The play: two people in one room on different servers talk, a third in another room sees nothing of it."""

import asyncio
import json
from itertools import cycle, islice
from typing import Final
from urllib.request import urlopen

from rich import box
from rich.console import Console
from rich.table import Table

from examples.online_chat.visitor import Visitor

CROWD: Final = 100
ROOM: Final = "tea-room"
OTHER_ROOM: Final = "library"


class NotAsItShould(Exception):
    """Somebody saw what was not meant for them, or somebody is left who went."""


async def play(console: Console, servers: list[str]) -> None:
    """Play it on these servers.

    Raises:
        NotAsItShould: with what went wrong.
        TimeoutError: somebody did not see what was meant for them.
    """
    first, second = servers[0], servers[-1]
    ada = await Visitor.enter(first, ROOM, "Ada")
    cleo = await Visitor.enter(first, OTHER_ROOM, "Cleo")
    ben = await Visitor.enter(second, ROOM, "Ben")
    await talk(ada, ben)
    console.print(_table(ada, ben, cleo))
    if strange := cleo.saw_of_others():
        raise NotAsItShould(f"Cleo saw what happened in another room: {strange}")
    await cleo.leave()
    await ada.leave()
    console.print("Ada and Ben saw each other join, talk and leave. Cleo saw nothing of it.")
    await crowd(console, servers)


async def talk(ada: Visitor, ben: Visitor) -> None:
    await ada.sees("chat.joined", name="Ben")
    await ada.say("Hello Ben, which server are you on?")
    await ben.sees("chat.said", name="Ada")
    await ben.say("On the other one. Redis is between us.")
    await ada.sees("chat.said", name="Ben")
    await ada.write("this is no message")
    await ada.sees("error")
    await ada.say("And the connection lives.")
    await ben.sees("chat.said", text="And the connection lives.")
    await ben.leave()
    await ada.sees("chat.left", name="Ben")


async def crowd(console: Console, servers: list[str]) -> None:
    """Many come at once, and go: nothing of them is left."""
    doors = list(islice(cycle(servers), CROWD))
    people = [Visitor.enter(server, f"hall-{index // 10}", f"guest {index}") for index, server in enumerate(doors)]
    visitors = await asyncio.gather(*people)
    inside = [await count(server) for server in servers]
    await asyncio.gather(*(visitor.leave() for visitor in visitors))
    async with asyncio.timeout(10):
        while any([await count(server) for server in servers]):  # noqa: ASYNC110 the servers are other processes
            await asyncio.sleep(0.05)
    console.print(f"{CROWD} people came ({' and '.join(map(str, inside))} per server) and went; nobody is left behind.")


async def count(server: str) -> int:
    """How many consumers are registered on a server."""
    health = await asyncio.to_thread(_health, server)
    return int(health["consumers"])


def _health(server: str) -> dict[str, int]:
    with urlopen(f"{server}/health", timeout=10) as answer:  # noqa: S310 it is our own server
        found: dict[str, int] = json.load(answer)
        return found


def _table(*visitors: Visitor) -> Table:
    table = Table(title="What each of them saw", title_justify="left", box=box.SIMPLE_HEAD)
    rooms = [next(each["room"] for each in visitor.seen if each["type"] == "welcome") for visitor in visitors]
    columns = [[_line(visitor, each) for each in visitor.seen if each["type"] != "welcome"] for visitor in visitors]
    for visitor, room in zip(visitors, rooms, strict=True):
        table.add_column(f"{visitor.name}, in {room}", overflow="fold", ratio=1)
    for index in range(max(map(len, columns))):
        table.add_row(*(column[index] if index < len(column) else "" for column in columns))
    return table


def _line(visitor: Visitor, message: dict[str, str]) -> str:
    who = "you" if message.get("name") == visitor.name else message.get("name", "")
    match message["type"]:
        case "chat.said":
            return f"{who}: {message['text']}"
        case "error":
            return f"error: {message['reason']}"
        case kind:
            return f"{who} {kind.removeprefix('chat.')}"
