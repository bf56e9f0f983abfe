"""What docs/topology.md shows is what `events topology` prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.documentation.run_blocks import blocks

PAGE = ROOT / "docs" / "topology.md"


@pytest.mark.parametrize(("form", "language"), [("table", "text"), ("mermaid", "mermaid")])
def test_the_page_shows_what_is_printed(form: str, language: str, tmp_path: Path) -> None:
    fenced = blocks(PAGE.read_text("utf-8"))
    (program,) = [block.text for block in fenced if block.language == "python"]
    (tmp_path / "shop.py").write_text(program.partition("\nfor ")[0], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "events_core.cli", "topology", "shop:bus", "--format", form],
        cwd=tmp_path,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout in [block.text for block in fenced if block.language == language]
