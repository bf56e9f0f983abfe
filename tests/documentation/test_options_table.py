"""The README's table of options is the docstring's."""

from events_core import Registration
from tests.architecture.source import ROOT


def rows(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("| `")]


def test_the_table_of_options_is_that_of_the_docstring() -> None:
    options = rows(Registration.__doc__ or "")
    section = (ROOT / "README.md").read_text("utf-8").partition("## Options of a registration")[2].partition("\n## ")[0]
    assert rows(section) == options
