"""The suite notices: each saboteur fails exactly the test meant for it."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pytest

from events_core.conformance import Connect, TransportConformance
from events_core.memory import InMemoryBroker, InMemoryTransport
from tests.conformance.saboteurs import SABOTEURS, Sabotage

ROOT: Final = Path(__file__).parents[2]

Failures = Mapping[str, list[str]]
"""The failed tests of each class."""


def start_pytest(classes: Iterable[str], report: Path) -> "subprocess.Popen[str]":
    path = Path(__file__).with_name("saboteurs.py")
    command = [sys.executable, "-m", "pytest", *(f"{path}::Test{name}" for name in classes)]
    command += ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def failed_tests(report: Path) -> Failures:
    failed: dict[str, list[str]] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 pytest wrote it a moment ago
        named = failed.setdefault(case.attrib["classname"].rpartition(".Test")[2], [])
        if case.find("failure") is not None or case.find("error") is not None:
            named.append(case.attrib["name"])
    return failed


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """Two runs at a time: they mostly wait."""
    folder = tmp_path_factory.mktemp("saboteurs")
    classes = [saboteur.__name__ for saboteur in (Sabotage, *SABOTEURS)]
    reports = [folder / "even.xml", folder / "odd.xml"]
    runs = [start_pytest(classes[start::2], report) for start, report in enumerate(reports)]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert all(report.exists() for report in reports), outputs
    return {name: failed for report in reports for name, failed in failed_tests(report).items()}


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.__name__)
def test_a_saboteur_fails_exactly_the_test_meant_for_it(saboteur: type[Sabotage], failures: Failures) -> None:
    assert failures[saboteur.__name__] == [saboteur.caught_by]


def test_a_wrapped_transport_without_sabotage_passes(failures: Failures) -> None:
    assert failures["Sabotage"] == []


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.__name__)
def test_a_saboteur_is_meant_for_a_test_that_there_is(saboteur: type[Sabotage]) -> None:
    assert saboteur.caught_by in TransportConformance.tests


def test_overriding_a_test_of_the_suite_is_refused() -> None:
    async def nothing(self: TransportConformance) -> None: ...

    with pytest.raises(TypeError, match="overrides test_order_is_refused"):
        type("TestMine", (TransportConformance,), {"test_order_is_refused": nothing})


def test_a_test_is_not_overridden_by_another_base_either() -> None:
    other = type("Other", (), {"test_order_is_refused": None})
    with pytest.raises(TypeError, match="overrides test_order_is_refused"):
        type("TestMine", (other, TransportConformance), {})


def test_a_known_gap_that_the_suite_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="test_nothing, which the suite does not have"):
        type("TestMine", (TransportConformance,), {"known_gaps": {"test_nothing": "why"}})


GAPS: Final = """
import pytest

from tests.conformance.test_saboteurs import connect_to_memory
from events_core.conformance import Connect, TransportConformance


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class TestWithGaps(TransportConformance):
    known_gaps = {"test_order_is_refused": "long since fixed"}

    @pytest.fixture
    async def connect(self) -> Connect:
        return connect_to_memory()
"""


def connect_to_memory() -> Connect:
    broker = InMemoryBroker()
    return lambda: InMemoryTransport(broker)


def test_a_known_gap_that_is_fixed_fails_the_run(tmp_path: Path) -> None:
    path = tmp_path / "test_gaps.py"
    path.write_text(GAPS)
    command = [sys.executable, "-m", "pytest", str(path), "-q", "-p", "no:cacheprovider", "-k", "test_order_is_refused"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED, finished.stdout + finished.stderr
    assert "[XPASS(strict)] long since fixed" in finished.stdout
