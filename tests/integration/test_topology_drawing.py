"""The drawing of a topology, in a real browser: everything can be read."""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, Page

from events_core.cli.rendering import as_svg
from events_core.integration import Flow, Topology
from events_core.messages import Contract

pytestmark = pytest.mark.broker("chromium")

LONGEST: Final = "w" * 100
MEASURE: Final = """kind => [...document.querySelectorAll(kind)].map(element => {
    const {left, top, right, bottom} = element.getBoundingClientRect()
    return {left, top, right, bottom, name: element.textContent}
})"""
# What the text stands on: the box around it, or the page.
CONTRASTS: Final = """() => {
    const light = colour => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    }
    const boxes = [...document.querySelectorAll('rect')].reverse()
    return [...document.querySelectorAll('text')].map(text => {
        const {left, top} = text.getBoundingClientRect()
        const below = boxes.find(box => {
            const at = box.getBoundingClientRect()
            return at.left <= left && left <= at.right && at.top <= top && top <= at.bottom
        })
        const [dark, bright] = [text, below].map(each => light(getComputedStyle(each).fill)).sort((a, b) => a - b)
        return (bright + 0.05) / (dark + 0.05)
    })
}"""


@dataclass(frozen=True, slots=True)
class Rectangle:
    left: float
    top: float
    right: float
    bottom: float
    name: str

    def overlaps(self, other: "Rectangle") -> bool:
        sideways = self.left < other.right and other.left < self.right
        return sideways and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: "Rectangle") -> bool:
        sideways = self.left <= other.left and other.right <= self.right
        return sideways and self.top <= other.top and other.bottom <= self.bottom


def flow(topic: str, consumer: str, *, events: int = 1, ladder: tuple[float, ...] = (1, 5, 30)) -> Flow:
    return Flow(
        topic=topic,
        consumer=consumer,
        events=tuple(Contract(f"shop.{'very_' * number}long_event_type", 1 + number) for number in range(events)),
        immediate=2,
        ladder=ladder,
        dead_letters=True,
        broadcast=consumer.startswith("screen"),
        ordered=False,
    )


TOPOLOGIES: Final = (
    Topology(source="shop", flows=()),
    Topology(source="shop", flows=(flow("t", "c", ladder=()),)),
    Topology(source="s" * 200, flows=(flow("t", "c"),)),
    Topology(source="shop", flows=(flow("orders.shipped", LONGEST), flow(LONGEST, "screen"), flow("t", "c"))),
    Topology(
        source="shop",
        flows=tuple(
            flow(f"topic-{number % 3}", f"consumer-{number}", events=1 + number % 5, ladder=tuple(range(1, 2 + number)))
            for number in range(12)
        ),
    ),
)


@pytest.fixture(params=TOPOLOGIES, ids=lambda each: f"{len(each.flows)} flows of {each.source[:10]}")
def drawing(request: pytest.FixtureRequest, chromium: Browser) -> Generator[Page]:
    page = chromium.new_page()
    page.set_content(as_svg(request.param))
    yield page
    page.close()


def measured(page: Page, kind: str) -> list[Rectangle]:
    return [Rectangle(**each) for each in page.evaluate(MEASURE, kind)]


def test_no_two_texts_overlap(drawing: Page) -> None:
    texts = measured(drawing, "text")
    assert [(a.name, b.name) for a, b in combinations(texts, 2) if a.overlaps(b)] == []


def test_no_two_boxes_overlap_and_the_page_holds_them(drawing: Page) -> None:
    page, *boxes = measured(drawing, "rect")
    assert [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)] == []
    assert [box for box in boxes if not page.holds(box)] == []


def test_every_text_is_within_its_box(drawing: Page) -> None:
    page, *boxes = measured(drawing, "rect")
    for text in measured(drawing, "text"):
        assert page.holds(text), text
        assert all(box.holds(text) for box in boxes if box.overlaps(text)), text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(drawing: Page, scheme: Literal["light", "dark"]) -> None:
    drawing.emulate_media(color_scheme=scheme)
    contrasts: list[float] = drawing.evaluate(CONTRASTS)
    assert contrasts
    assert min(contrasts) >= 4.5  # as WCAG asks for
