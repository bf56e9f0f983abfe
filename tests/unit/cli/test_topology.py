"""`events topology module:bus` prints what a bus consumes, as a table, as Mermaid and as SVG."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from events_core.cli import main

SHOP = "tests.unit.cli.shop"
SVG = "{http://www.w3.org/2000/svg}"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["topology", *arguments]) == 0
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], target: str) -> str:
    assert main(["topology", target]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


def cells(table: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in table.splitlines()]


def test_a_table_shows_every_flow_and_says_what_repeats_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cells(shown(capsys, f"{SHOP}:bus")) == [
        ["shop"],
        [""],
        ["TOPIC", "CONSUMER", "EVENTS", "DELIVERY", "RETRIES AFTER", "THEN"],
        ["orders", "billing", "shop.ordered v1", "shared", "at once, 0.5 s, 5 s, 90 s, 2 min, 2 h", "dead letter"],
        ["shop.ordered v2"],
        ["screen", "shop.shown v1", "broadcast", "never", "logged"],
        ["payments", "screen", "shop.shown v1", "shared", "1 s, 5 s, 30 s, 2 min, 10 min", "dead letter"],
    ]


def test_the_columns_of_a_table_stand_below_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, f"{SHOP}:bus").splitlines()
    assert lines[2].index("EVENTS") == lines[3].index("shop.ordered v1") == lines[4].index("shop.ordered v2")
    assert lines[2].index("THEN") == lines[5].index("logged")


def test_mermaid_leads_from_topics_to_consumers_to_what_follows_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    first, *lines = [line.strip() for line in shown(capsys, f"{SHOP}:bus", "--format", "mermaid").splitlines()]
    assert first == "flowchart LR"
    assert 'topic1[/"orders"/]' in lines
    assert 'consumer1["billing"]' in lines
    assert 'topic1 -->|"shop.ordered v1<br>shop.ordered v2<br>shared"| consumer1' in lines
    assert 'consumer1 -->|"retry: at once, 0.5 s, 5 s, 90 s, 2 min, 2 h<br>then"| end1' in lines
    assert 'end1[("dead letter")]' in lines
    assert 'end2(["logged"])' in lines


def test_mermaid_draws_broadcast_differently(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, f"{SHOP}:bus", "--format", "mermaid")
    assert 'topic1 -.->|"shop.shown v1<br>broadcast"| consumer2' in lines


def test_what_a_drawing_would_read_as_its_own_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert '["#quot;#lt;tricky#gt;#quot; & more: ' in shown(capsys, f"{SHOP}:tricky", "--format", "mermaid")
    drawing = ET.fromstring(shown(capsys, f"{SHOP}:tricky", "--format", "svg"))  # noqa: S314 our own
    assert drawing.get("aria-label") == 'What "<tricky>" & more consumes'


def test_svg_holds_every_word_of_the_topology(capsys: pytest.CaptureFixture[str]) -> None:
    drawing = ET.fromstring(shown(capsys, f"{SHOP}:bus", "--format", "svg"))  # noqa: S314 our own
    words = [text.text for text in drawing.iter(f"{SVG}text")]
    assert words[0] == "What shop consumes"
    expected = {"orders", "payments", "billing", "screen", "shop.ordered v1", "shop.ordered v2"}
    assert expected | {"shop.shown v1", "retry: never", "then: logged", "then: dead letter"} <= set(words)


def test_svg_has_an_arrow_for_every_flow_and_every_end(capsys: pytest.CaptureFixture[str]) -> None:
    drawing = ET.fromstring(shown(capsys, f"{SHOP}:bus", "--format", "svg"))  # noqa: S314 our own
    ways = [path.get("class") for path in drawing.iter(f"{SVG}path")]
    assert sorted(filter(None, ways)) == ["way"] * 5 + ["way broadcast"]


def test_svg_has_colours_for_light_and_dark_pages_and_a_name_for_those_who_cannot_see_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = shown(capsys, f"{SHOP}:bus", "--format", "svg")
    drawing = ET.fromstring(printed)  # noqa: S314 our own
    assert "prefers-color-scheme: dark" in printed
    assert (drawing.get("role"), drawing.get("aria-label")) == ("img", "What shop consumes")


@pytest.mark.parametrize("form", ["table", "mermaid", "svg"])
def test_a_bus_without_registrations_is_said_to_have_none(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing is registered" in shown(capsys, f"{SHOP}:empty", "--format", form)


def test_a_bus_is_found_behind_a_dotted_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nobody" in shown(capsys, f"{SHOP}:Settings.bus")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("shop", "'shop' is not MODULE:BUS, as in `shop.events:bus`"),
        (":bus", "':bus' is not MODULE:BUS"),
        ("no_such_shop:bus", "there is no module no_such_shop; it is looked for in "),
        ("tests.unit.cli.no_such_shop:bus", "there is no module tests.unit.cli.no_such_shop"),
        (f"{SHOP}:buss", f"{SHOP} has no buss; there is empty, tricky"),
        (f"{SHOP}:price", f"{SHOP}:price is of type int; name a bus, or a function that makes one"),
        (f"{SHOP}:Ordered", f"{SHOP}:Ordered is of type Ordered; name a bus"),
        (f"{SHOP}:note", f"{SHOP}:note() failed: TypeError: "),
        (f"{SHOP}:broken", f"{SHOP}:broken() failed: LookupError: DATABASE_URL is not set"),
    ],
)
def test_what_leads_to_no_bus_is_refused_with_the_reason(
    target: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refusal(capsys, target)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_library", "importing failing failed: No module named 'no_such_library'"),
        ("1 / 0", "importing failing failed: ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "importing failing failed: SystemExit: 0"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_with_its_error(source: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(source)
    done = run_in(tmp_path, "failing:bus")
    assert done.returncode == 2
    assert reason in done.stderr


def test_modules_of_the_working_directory_are_found(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text('from events_core import InMemoryEventBus\nbus = InMemoryEventBus(source="mine")')
    done = run_in(tmp_path, "mine:bus")
    assert (done.returncode, done.stdout) == (0, "mine: nothing is registered\n")


def test_an_unknown_format_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["topology", f"{SHOP}:bus", "--format", "png"])
    assert ended.value.code == 2
    assert "invalid choice: 'png'" in capsys.readouterr().err


def run_in(folder: Path, target: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "events_core.cli", "topology", target]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
