"""What the documents show is true: every Python block runs, every command exists, every link leads somewhere."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, toml
from tests.documentation.run_blocks import blocks

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RUNNER = Path(__file__).with_name("run_blocks.py")

SHELLS = {"sh", "bash", "console", "shell"}
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def run(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUNNER), str(path)], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )


def commands(document: str) -> list[list[str]]:
    """The commands in the shell blocks, without prompt and comments."""
    lines = [line for block in blocks(document) if block.language in SHELLS for line in block.text.splitlines()]
    return [command for line in lines if (command := shlex.split(line.removeprefix("$ "), comments=True))]


def exists(command: list[str]) -> bool:
    """Whether a command that a document shows is one that this repository offers."""
    match command:
        case ["git" | "cd", *_]:
            return True
        case ["make", target, *_]:
            return (
                re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE) is not None
            )
        case ["pip", "install", *requirements]:
            return all(map(installable, requirements))
        case ["python" | ".venv/bin/python", "-m", module, *_]:
            return importlib.util.find_spec(module) is not None
        case ["pytest" | ".venv/bin/pytest", *arguments]:
            return all((ROOT / argument).exists() for argument in arguments if not argument.startswith("-"))
        case [program, *_]:
            return (ROOT / program).exists() or program in toml("pyproject.toml")["project"]["scripts"]
        case _:
            return False


def installable(requirement: str) -> bool:
    """Whether it is this distribution, and its extras are declared."""
    match = re.fullmatch(r"events-core(?:\[([\w,-]+)\])?", requirement)
    extras = set((match[1] or "").split(",")) - {""} if match else {"unknown"}
    return extras <= set(toml("pyproject.toml")["project"]["optional-dependencies"])


@documents
def test_python_blocks_run_and_print_what_is_shown(path: Path) -> None:
    done = run(path)
    assert done.returncode == 0, done.stderr


@documents
def test_commands_exist(path: Path) -> None:
    assert [command for command in commands(path.read_text("utf-8")) if not exists(command)] == []


@documents
def test_links_lead_to_a_file(path: Path) -> None:
    links = LINK.findall(path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_a_block_that_prints_something_else_is_found(tmp_path: Path) -> None:
    document = tmp_path / "wrong.md"
    document.write_text("```python\nprint(1 + 1)\n```\nprints\n```text\n3\n```\n", encoding="utf-8")
    done = run(document)
    assert done.returncode == 1
    assert "- 3" in done.stderr


def test_a_block_that_fails_names_its_line_in_the_document(tmp_path: Path) -> None:
    document = tmp_path / "broken.md"
    document.write_text("# Title\n\n```python\nname = 'x'\n```\n\n```python\nname.nothing\n```\n", encoding="utf-8")
    assert 'broken.md", line 8' in run(document).stderr


@pytest.mark.parametrize("command", ["make nothing", "pip install 'events-core[pigeon]'", "python -m nothing_at_all"])
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    assert not exists(shlex.split(command))
