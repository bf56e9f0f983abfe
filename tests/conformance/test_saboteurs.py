"""The suite notices: each saboteur fails, of its part of the suite, exactly the test meant for it."""

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


def part_with(caught_by: str) -> Iterable[str]:
    """The part of the suite that has this test: the others could notice nothing that matters here."""
    part = next(each for each in TransportConformance.__mro__ if caught_by in vars(each))
    return [name for name in vars(part) if name in TransportConformance.tests]


def start_pytest(tests: Iterable[str], report: Path) -> "subprocess.Popen[str]":
    path = Path(__file__).with_name("saboteurs.py")
    command = [sys.executable, "-m", "pytest", *(f"{path}::{test}" for test in tests)]
    command += ["-q", "--noconftest", "-p", "no:cacheprovider", f"--junitxml={report}"]
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
    """Several runs at a time: they mostly wait."""
    folder = tmp_path_factory.mktemp("saboteurs")
    parts = [[f"Test{each.__name__}::{test}" for test in part_with(each.caught_by)] for each in SABOTEURS]
    runs_of_tests = [["TestSabotage"], *([test for part in parts[start::4] for test in part] for start in range(4))]
    reports = [folder / f"{number}.xml" for number in range(len(runs_of_tests))]
    runs = [start_pytest(tests, report) for tests, report in zip(runs_of_tests, reports, strict=True)]
    outputs = [run.communicate(timeout=400)[0] for run in runs]
    assert all(report.exists() for report in reports), outputs
    return {name: failed for report in reports for name, failed in failed_tests(report).items()}


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.__name__)
def test_a_saboteur_fails_of_its_part_of_the_suite_exactly_the_test_meant_for_it(
    saboteur: type[Sabotage], failures: Failures
) -> None:
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
