"""A topology as a Mermaid flowchart, as documents on code hosts show it."""

from collections.abc import Iterator, Mapping
from typing import Final

from events_core.cli.rendering.words import NOTHING, contract, delivery, given_up, retries
from events_core.integration import Flow, Topology

__all__ = ["as_mermaid"]

_SPECIAL: Final[Mapping[int, str]] = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;"})


def as_mermaid(topology: Topology) -> str:
    """Topics left, consumers beside them, and where a failed event goes."""
    return "\n".join(("flowchart LR", *(f"    {line}" for line in _lines(topology)))) + "\n"


def _lines(topology: Topology) -> Iterator[str]:
    if not topology.flows:
        yield f"nothing[{_quoted(f'{topology.source}: {NOTHING}')}]"
    ids = {topic: f"topic{number}" for number, topic in enumerate(topology.topics, 1)}
    for topic, name in ids.items():
        yield f"{name}[/{_quoted(topic)}/]"
    for number, flow in enumerate(topology.flows, 1):
        yield from _flow(flow, ids[flow.topic], number)


def _flow(flow: Flow, topic: str, number: int) -> Iterator[str]:
    consumer, end = f"consumer{number}", f"end{number}"
    events = "<br>".join(map(_escaped, map(contract, flow.events)))
    way = "-.->" if flow.broadcast else "-->"
    yield f"{consumer}[{_quoted(flow.consumer)}]"
    yield f'{topic} {way}|"{events}<br>{delivery(flow)}"| {consumer}'
    yield f"{end}[({_quoted(given_up(flow))})]" if flow.dead_letters else f"{end}([{_quoted(given_up(flow))}])"
    yield f'{consumer} -->|"retry: {_escaped(retries(flow))}<br>then"| {end}'


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'
