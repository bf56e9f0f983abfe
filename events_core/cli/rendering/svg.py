"""A topology as a drawing without dependencies, readable on a light and on a dark page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from events_core.cli.rendering.words import NOTHING, contract, delivery, given_up, retries
from events_core.integration import Flow, Topology

__all__ = ["as_svg"]

_CHARACTER: Final = 8.2  # of a monospaced font of 13 px, the widest that systems bring
_LINE: Final = 20
_PADDING: Final = 14
_GAP: Final = 16  # between two boxes of a column
_TOPIC_GAP: Final = 28  # between what belongs to two topics
_WAY: Final = 64  # between two columns, room for an arrow
_MARGIN: Final = 24
_TITLE: Final = 44

_STYLE: Final = """\
    .page { fill: #ffffff; stroke: #d5dbe3; }
    .box { fill: #f6f8fa; stroke: #8792a2; }
    .topic { fill: #dbeafe; stroke: #3b76c4; }
    .after { fill: #fdf0dc; stroke: #b7791f; }
    text { fill: #1b2733; font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
    .name { font-weight: 700; }
    .faint { fill: #56616f; }
    .way { fill: none; stroke: #56616f; stroke-width: 1.5; }
    .broadcast { stroke-dasharray: 5 4; }
    .head { fill: #56616f; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0f1620; stroke: #2c3848; }
      .box { fill: #1a2431; stroke: #66758a; }
      .topic { fill: #15304f; stroke: #5b9be6; }
      .after { fill: #3a2a10; stroke: #d59a3d; }
      text { fill: #e8eef5; }
      .faint { fill: #a3b0c0; }
      .way { stroke: #a3b0c0; }
      .head { fill: #a3b0c0; }
    }
"""


@dataclass(frozen=True, slots=True)
class _Text:
    words: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class _Box:
    """A box with lines of text, one below the other."""

    kind: str
    lines: tuple[_Text, ...]

    @property
    def width(self) -> float:
        return max(len(line.words) for line in self.lines) * _CHARACTER + 2 * _PADDING

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PADDING - 6

    def draw(self, x: float, y: float, width: float) -> Iterator[str]:
        yield (f'<rect class="{self.kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{self.height:g}" rx="7"/>')
        for number, line in enumerate(self.lines, 1):
            yield _text(line, x + _PADDING, y + _PADDING - 8 + number * _LINE)


def as_svg(topology: Topology) -> str:
    """Topics left, consumers with their events beside them, and what follows a failure on the right."""
    if not topology.flows:
        return _page(topology.source, [_text(_Text(NOTHING, "faint"), _MARGIN, _MARGIN + _TITLE)], 360, 100)
    topics = {topic: _Box("topic", (_Text(topic, "name"),)) for topic in topology.topics}
    consumers = {flow: _consumer(flow) for flow in topology.flows}
    ends = {flow: _after(flow) for flow in topology.flows}
    widths = [max(box.width for box in column.values()) for column in (topics, consumers, ends)]
    columns = _Columns(topics, consumers, ends, widths)
    drawn: list[str] = []
    y = float(_MARGIN + _TITLE)
    for topic in topology.topics:
        drawn += columns.draw_topic(topic, topology.of_topic(topic), y)
        y += columns.height(topology.of_topic(topic)) + _TOPIC_GAP
    width = max(sum(widths) + 2 * _WAY, len(_title(topology.source)) * _CHARACTER) + 2 * _MARGIN
    return _page(topology.source, drawn, width, y - _TOPIC_GAP + _MARGIN)


@dataclass(frozen=True, slots=True)
class _Columns:
    topics: dict[str, _Box]
    consumers: dict[Flow, _Box]
    ends: dict[Flow, _Box]
    widths: list[float]

    def height(self, flows: tuple[Flow, ...]) -> float:
        return sum(map(self._row, flows)) + _GAP * (len(flows) - 1)

    def draw_topic(self, topic: str, flows: tuple[Flow, ...], y: float) -> Iterator[str]:
        box = self.topics[topic]
        middle = y + self.height(flows) / 2
        yield from box.draw(_MARGIN, middle - box.height / 2, self.widths[0])
        for flow in flows:
            row = self._row(flow)
            yield from self._draw_flow(flow, middle, y + row / 2)
            y += row + _GAP

    def _draw_flow(self, flow: Flow, begin: float, middle: float) -> Iterator[str]:
        consumer, end = self.consumers[flow], self.ends[flow]
        left = _MARGIN + self.widths[0]
        after = left + _WAY + self.widths[1]
        yield _way(left, begin, middle, "way broadcast" if flow.broadcast else "way")
        yield from consumer.draw(left + _WAY, middle - consumer.height / 2, self.widths[1])
        yield _way(after, middle, middle, "way")
        yield from end.draw(after + _WAY, middle - end.height / 2, self.widths[2])

    def _row(self, flow: Flow) -> float:
        return max(self.consumers[flow].height, self.ends[flow].height)


def _consumer(flow: Flow) -> _Box:
    shared = {"broadcast": "broadcast: a copy for every process", "ordered": "ordered by key"}.get(
        delivery(flow), "shared by its processes"
    )
    events = (_Text(contract(each)) for each in flow.events)
    return _Box("box", (_Text(flow.consumer, "name"), *events, _Text(shared, "faint")))


def _after(flow: Flow) -> _Box:
    return _Box(
        "after",
        (
            _Text("after a failure", "faint"),
            _Text(f"retry: {retries(flow)}"),
            _Text(f"then: {given_up(flow)}"),
        ),
    )


def _text(text: _Text, x: float, y: float) -> str:
    kind = f' class="{text.kind}"' if text.kind else ""
    return f'<text{kind} x="{x:g}" y="{y:g}" xml:space="preserve">{escape(text.words)}</text>'


def _way(x: float, begin: float, end: float, kind: str) -> str:
    tip = x + _WAY
    bend = f"M {x:g} {begin:g} C {x + _WAY / 2:g} {begin:g} {x + _WAY / 2:g} {end:g} {tip - 8:g} {end:g}"
    head = f"{tip:g},{end:g} {tip - 9:g},{end - 4.5:g} {tip - 9:g},{end + 4.5:g}"
    return f'<path class="{kind}" d="{bend}"/><polygon class="head" points="{head}"/>'


def _title(source: str) -> str:
    return f"What {source} consumes"


def _page(source: str, drawn: list[str], width: float, height: float) -> str:
    title = escape(_title(source), {'"': "&quot;"})
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{title}">'
    )
    page = f'<rect class="page" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="10"/>'
    name = _text(_Text(_title(source), "name"), _MARGIN, _MARGIN + 14)
    lines = [opening, f"  <title>{title}</title>", f"  <style>\n{_STYLE}  </style>", page, name, *drawn, "</svg>"]
    return "\n".join(lines) + "\n"
