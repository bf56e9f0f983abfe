"""What is public is decided, listed in `__all__`, and nothing else."""

import importlib
from types import ModuleType

import pytest

import events_core
from tests.architecture.source import public_packages

MOST_NAMES_IN_THE_ROOT = 30


def reading_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts `__all__`."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def names_of_its_own(package: ModuleType) -> set[str]:
    """The names without an underscore that the package defines; what it merely imports is not its own."""
    return {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith(package.__name__)
    }


@pytest.mark.parametrize("package", public_packages())
def test_public_names_are_exactly_those_in_all(package: str) -> None:
    module = importlib.import_module(package)
    assert names_of_its_own(module) <= set(module.__all__) <= set(vars(module))


@pytest.mark.parametrize("package", public_packages())
def test_all_is_sorted_and_names_nothing_twice(package: str) -> None:
    names = list(importlib.import_module(package).__all__)
    assert names == sorted(set(names), key=reading_order)


def test_the_root_stays_small() -> None:
    assert len(events_core.__all__) <= MOST_NAMES_IN_THE_ROOT
