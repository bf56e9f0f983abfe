"""One word per concept, and none that says nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, python_files

EMPTY_WORDS = {"manager", "helper", "helpers", "util", "utils", "impl", "processor"}
EMPTY_IN_CLASSES = EMPTY_WORDS | {"base", "data", "info"}
CLIPPED = {"ctx", "evt"}
MOST_LINES = 400

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(name: str) -> set[str]:
    return {word.lower() for word in WORD.findall(name)}


def empty_words(tree: ast.AST) -> Iterator[str]:
    """The names in a module that carry a forbidden word."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) if words(name) & EMPTY_IN_CLASSES:
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if words(name) & EMPTY_WORDS:
                yield name
            case ast.arg(arg=name) | ast.Name(id=name) if name in CLIPPED:
                yield name
            case _:
                pass


@pytest.mark.parametrize("path", python_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_say_something(path: Path) -> None:
    assert list(empty_words(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "source",
    [
        "class ConnectionManager: ...",
        "class BaseBus: ...",
        "def retry_helper(): ...",
        "def handle(evt): ...",
        "ctx = 1",
    ],
)
def test_a_planted_word_is_found(source: str) -> None:
    assert len(list(empty_words(ast.parse(source)))) == 1


@pytest.mark.parametrize("source", ["class Metadata: ...", "class Database: ...", "def implement(): ..."])
def test_a_word_within_a_word_is_left_alone(source: str) -> None:
    assert list(empty_words(ast.parse(source))) == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in python_files()}
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}
