"""The wheel holds the declared packages and nothing else, and what it announces can be loaded."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.architecture.source import ROOT, shipped_packages, toml


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The paths of the files in a wheel built from this tree."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = target.glob("*.whl")
    return ZipFile(wheel).namelist()


def test_the_top_level_is_exactly_the_declared_packages(contents: Sequence[str]) -> None:
    top_level = {Path(name).parts[0] for name in contents}
    assert {name for name in top_level if not name.endswith(".dist-info")} == set(shipped_packages())


def test_every_package_says_that_it_is_typed(contents: Sequence[str]) -> None:
    assert {f"{package}/py.typed" for package in shipped_packages()} <= set(contents)


def test_every_module_of_the_tree_is_in_the_wheel(contents: Sequence[str]) -> None:
    in_tree = {path.relative_to(ROOT).as_posix() for path in (ROOT / "events_core").rglob("*.py")}
    assert in_tree == {name for name in contents if name.startswith("events_core/") and name.endswith(".py")}


def test_no_test_ships(contents: Sequence[str]) -> None:
    assert [name for name in contents if Path(name).name.startswith(("test_", "conftest"))] == []


def test_the_license_ships(contents: Sequence[str]) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in contents)


@pytest.mark.parametrize("scheme", toml("pyproject.toml")["project"]["entry-points"]["events_core.transports"])
def test_every_announced_transport_can_be_loaded(scheme: str) -> None:
    (entry_point,) = entry_points(group="events_core.transports", name=scheme)
    assert callable(entry_point.load())
