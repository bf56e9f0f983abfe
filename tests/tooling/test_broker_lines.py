"""A run ends with a line per broker, and a required broker without tests fails it."""

import shutil
from pathlib import Path

import pytest

from tests.broker_lines import BROKERS

pytest_plugins = ["pytester"]

TESTS = Path(__file__).parent.parent
EVERY_BROKER = "\n".join(f"@pytest.mark.broker('{broker.name}')" for broker in BROKERS)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of its own that uses our conftest."""
    monkeypatch.delenv("REQUIRE_BROKERS", raising=False)
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\nmarkers = ["broker(name): x"]')
    tests = pytester.mkdir("tests")
    for name in ("conftest.py", "broker_lines.py", "broker_fixtures.py"):
        shutil.copy(TESTS / name, tests)
    return pytester


def write(project: pytest.Pytester, source: str) -> None:
    (project.path / "tests" / "test_it.py").write_text(f"import pytest\n{source}\n")


def last_lines(result: pytest.RunResult) -> list[str]:
    """One for each broker."""
    return result.outlines[-len(BROKERS) :]


def test_the_last_lines_say_how_many_tests_ran_on_a_broker(project: pytest.Pytester) -> None:
    write(project, f"{EVERY_BROKER}\n@pytest.mark.parametrize('n', [1, 2])\ndef test_a(n): pass")
    result = project.runpytest_subprocess("tests", "--require-brokers")
    assert result.ret == pytest.ExitCode.OK
    assert "memory     2 tests ran: 2 passed" in last_lines(result)


def test_a_broker_without_tests_is_loud_but_passes_when_brokers_are_not_required(project: pytest.Pytester) -> None:
    write(project, "def test_a(): pass")
    result = project.runpytest_subprocess("tests")
    assert result.ret == pytest.ExitCode.OK
    assert any(said.startswith("memory     NO TEST RAN: none was selected; ") for said in last_lines(result))


def test_a_broker_that_cannot_be_had_is_loud_even_where_a_test_did_without_it(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        project,
        "from brokers import BrokerUnavailable\n"
        "from tests.broker_fixtures import is_required, started\n"
        "class Nowhere:\n"
        "    def __enter__(self): raise BrokerUnavailable('no Kafka is to be had')\n"
        "    def __exit__(self, *_): pass\n"
        "@pytest.fixture\n"
        "def broker(request):\n"
        "    from contextlib import ExitStack\n"
        "    with ExitStack() as running: yield started(Nowhere(), running, required=is_required(request))\n"
        "@pytest.mark.broker('kafka')\n@pytest.mark.broker('memory')\ndef test_with(broker): pass\n"
        "@pytest.mark.broker('memory')\ndef test_in_memory(): pass\n"
        "@pytest.mark.broker('kafka')\ndef test_without(): pass",
    )
    result = project.runpytest_subprocess("tests")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["kafka      NOT AVAILABLE: 1 passed, 1 skipped (no Kafka is to be had)"])
    result.stdout.fnmatch_lines(["memory     1 tests ran: 1 passed, 1 skipped"])
    monkeypatch.setenv("REQUIRE_BROKERS", "1")
    required = project.runpytest_subprocess("tests")
    assert required.ret == pytest.ExitCode.TESTS_FAILED
    required.stdout.fnmatch_lines(["kafka      1 tests ran: 1 passed, 1 could not be set up"])


def test_a_required_broker_without_tests_fails_the_run(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_BROKERS", "1")
    write(project, "@pytest.mark.broker('memory')\ndef test_a(): pytest.skip('the broker is down')")
    result = project.runpytest_subprocess("tests")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["memory     NO TEST RAN: 1 skipped (the broker is down); *"])


def test_an_unknown_broker_is_refused_with_the_place_to_add_it(project: pytest.Pytester) -> None:
    write(project, "@pytest.mark.broker('pigeon')\ndef test_a(): pass")
    result = project.runpytest_subprocess("tests")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*add the broker 'pigeon' to BROKERS in tests/broker_lines.py*"])
