"""A topology as a table for the terminal."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from events_core.cli.rendering.words import NOTHING, contract, delivery, given_up, retries
from events_core.integration import Flow, Topology

__all__ = ["as_table"]

_HEADINGS: Final = ("TOPIC", "CONSUMER", "EVENTS", "DELIVERY", "RETRIES AFTER", "THEN")
_GAP: Final = "  "


def as_table(topology: Topology) -> str:
    """A line for each event of each flow; what a line has in common with the one above it is said once."""
    if not topology.flows:
        return f"{topology.source}: {NOTHING}\n"
    rows = [_HEADINGS, *(row for topic in topology.topics for row in _rows_of(topology.of_topic(topic)))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join((topology.source, "", *lines)) + "\n"


def _rows_of(flows: Sequence[Flow]) -> Iterator[tuple[str, ...]]:
    for index, flow in enumerate(flows):
        cells = (
            [flow.topic] if index == 0 else [],
            [flow.consumer],
            [contract(each) for each in flow.events],
            [delivery(flow)],
            [retries(flow)],
            [given_up(flow)],
        )
        yield from zip_longest(*cells, fillvalue="")
