"""A topology as a Mermaid flowchart, as documents on code hosts show it."""

from collections.abc import Iterator
from typing import Final

from events_core.cli.rendering.words import NOTHING, contract, delivery, given_up, retries
from events_core.integration import Route, Topology

__all__ = ["as_mermaid"]

_SPECIAL: Final = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;"})


def as_mermaid(topology: Topology) -> str:
    """Topics left, consumers beside them, and where a failed event goes."""
    return "\n".join(("flowchart LR", *(f"    {line}" for line in _lines(topology)))) + "\n"


def _lines(topology: Topology) -> Iterator[str]:
    if not topology.routes:
        yield f"nothing[{_quoted(f'{topology.source}: {NOTHING}')}]"
    ids = {topic: f"topic{number}" for number, topic in enumerate(topology.topics, 1)}
    for topic, name in ids.items():
        yield f"{name}[/{_quoted(topic)}/]"
    for number, route in enumerate(topology.routes, 1):
        yield from _route(route, ids[route.topic], number)


def _route(route: Route, topic: str, number: int) -> Iterator[str]:
    consumer, end = f"consumer{number}", f"end{number}"
    events = "<br>".join(map(_escaped, map(contract, route.events)))
    way = "-.->" if route.broadcast else "-->"
    yield f"{consumer}[{_quoted(route.consumer)}]"
    yield f'{topic} {way}|"{events}<br>{delivery(route)}"| {consumer}'
    if route.immediate or route.ladder:
        yield f"{consumer} -->|{_quoted(f'retry: {retries(route)}')}| {consumer}"
    yield f"{end}[({_quoted(given_up(route))})]"
    yield f"{consumer} -->|{_quoted('given up')}| {end}"


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'
