"""The lock file was resolved from the dependencies that pyproject.toml declares, from the public index."""

import re
from typing import Any

from tests.architecture.source import ROOT, toml

PUBLIC_HOSTS = {"pypi.org", "files.pythonhosted.org"}


def locked_project() -> dict[str, Any]:
    packages: list[dict[str, Any]] = toml("uv.lock")["package"]
    (project,) = [package for package in packages if package["name"] == "events-core"]
    return project


def requirement(name: str, specifier: str) -> str:
    return f"{name} {specifier}"


def declared(requirements: list[str]) -> set[str]:
    """Name and version range of each requirement, without extras and markers."""
    parsed = [re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?([^;]*)(?:;.*)?", text.replace(" ", "")) for text in requirements]
    return {requirement(match[1], match[2]) for match in parsed if match and match[1] != "events-core"}


def locked(entries: list[dict[str, Any]]) -> set[str]:
    return {requirement(entry["name"], entry["specifier"]) for entry in entries if entry["name"] != "events-core"}


def test_the_lock_knows_every_declared_dependency() -> None:
    project = toml("pyproject.toml")["project"]
    requirements = project["dependencies"] + [
        one for extra in project["optional-dependencies"].values() for one in extra
    ]
    assert locked(locked_project()["metadata"]["requires-dist"]) == declared(requirements), "run `make lock`"


def test_the_lock_knows_every_tool() -> None:
    groups = toml("pyproject.toml")["dependency-groups"]
    assert locked(locked_project()["metadata"]["requires-dev"]["dev"]) == declared(groups["dev"]), "run `make lock`"


def test_the_lock_names_only_the_public_index() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text(encoding="utf-8")))
    assert hosts <= PUBLIC_HOSTS
