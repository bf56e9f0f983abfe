import os
from collections.abc import Generator
from typing import TypeAlias

import pytest
from _pytest.terminal import TerminalReporter

from tests.broker_lines import BROKERS, DID_NOT_RUN, RAN, Tally, line, without_tests

pytest_plugins = ["tests.broker_fixtures"]

Backend: TypeAlias = tuple[str, dict[str, bool]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
)
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """Every asynchronous test runs on asyncio, with and without uvloop."""
    backend: Backend = request.param
    return backend


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-brokers",
        action="store_true",
        default=os.environ.get("REQUIRE_BROKERS", "") not in {"", "0"},
        help="fail when no test ran on one of the known brokers (or set REQUIRE_BROKERS=1)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note each test's broker where reports can see it."""
    known = {broker.name for broker in BROKERS}
    for item in items:
        for marker in item.iter_markers("broker"):
            (name,) = marker.args
            if name not in known:
                raise pytest.UsageError(f"{item.nodeid}: add the broker {name!r} to BROKERS in tests/broker_lines.py")
            item.user_properties.append(("broker", name))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """End the run with one line per broker; when brokers are required, a line without tests fails it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, TerminalReporter) or session.config.option.collectonly:
        yield
        return
    tallies = count(reporter)
    missing = without_tests(BROKERS, tallies)
    required = bool(session.config.getoption("--require-brokers"))
    if missing and required and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    yield
    for broker in BROKERS:
        loud = broker in missing
        reporter.write_line(line(broker, tallies[broker.name]), red=loud, green=not loud, bold=loud)
    if missing and required:
        reporter.write_line("FAILED: brokers are required, and no test ran on at least one", red=True, bold=True)


def count(reporter: TerminalReporter) -> dict[str, Tally]:
    """The outcomes of the tests of each known broker."""
    tallies = {broker.name: Tally() for broker in BROKERS}
    for outcome in (*RAN, *DID_NOT_RUN):
        for report in reporter.stats.get(outcome, []):
            # A module that could not be imported is among the errors, and has no properties.
            for name in [value for key, value in getattr(report, "user_properties", ()) if key == "broker"]:
                tallies[name].outcomes[outcome] += 1
                if outcome == "skipped":
                    tallies[name].skip_reasons[skip_reason(report)] += 1
    return tallies


def skip_reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, as its author put it."""
    _path, _line, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, str(report.longrepr))
    return reason.removeprefix("Skipped: ")
