"""What the architecture tests look at: the modules that ship, and the files that people read."""

import importlib
import pkgutil
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
READ_BY_PEOPLE: Final = ("events_core", "adapters", "tests", "examples", "benchmarks")


def toml(name: str) -> dict[str, Any]:
    """A TOML file at the root of the repository, parsed."""
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def shipped_packages() -> list[str]:
    """The top-level packages that the wheel declares."""
    paths: list[str] = toml("pyproject.toml")["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return [Path(path).name for path in paths]


@cache
def module_names() -> tuple[str, ...]:
    """Every module that ships, by its full name; scripts that run on import are left out."""
    names = shipped_packages()
    for package in shipped_packages():
        path = importlib.import_module(package).__path__
        names += [found.name for found in pkgutil.walk_packages(path, f"{package}.")]
    return tuple(name for name in names if not name.endswith("__main__"))


def modules() -> Iterator[ModuleType]:
    """Every module that ships, imported."""
    return map(importlib.import_module, module_names())


def public_packages() -> list[str]:
    """The packages people import from: none of their names starts with an underscore."""
    return [
        module.__name__
        for module in modules()
        if hasattr(module, "__path__") and not any(part.startswith("_") for part in module.__name__.split("."))
    ]


def python_files() -> list[Path]:
    """Every Python file in the repository."""
    return sorted(path for folder in READ_BY_PEOPLE for path in (ROOT / folder).rglob("*.py"))
