"""Importing the library costs nothing that was not asked for."""

import subprocess
import sys

import pytest

UNASKED = {"aio_pika", "aiokafka", "aiormq", "pytest", "redis", "rich", "sqlalchemy", "uvloop"}


@pytest.mark.parametrize("module", ["events_core", "events_core.testing"])
def test_importing_it_imports_no_broker_client_and_no_test_tool(module: str) -> None:
    source = f"import sys, {module}; print(*sorted({UNASKED!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == []
