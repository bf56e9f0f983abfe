"""A process of `brokers` does what it is told before the call returns."""

import os
from pathlib import Path

from brokers.processes import Process

BUSY = "import threading\ndef spin():\n  while True: pass\nthreading.Thread(target=spin).start()\nprint(flush=True)\nspin()"


def states(pid: int) -> set[str]:
    """Of all its threads: R runs, S waits, T stands."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks}


def test_every_thread_of_a_frozen_program_stands(tmp_path: Path) -> None:
    process = Process(["python3", "-c", BUSY], environment=dict(os.environ), log=tmp_path / "log")
    process.start()
    try:
        while not process.logs():
            assert process.running
        assert process._process is not None
        for _ in range(50):
            process.freeze()
            process.freeze()
            assert states(process._process.pid) == {"T"}
            process.resume()
    finally:
        process.kill()


def test_freezing_a_program_that_has_ended_waits_for_nothing(tmp_path: Path) -> None:
    process = Process(["true"], environment=dict(os.environ), log=tmp_path / "log")
    process.start()
    assert process._process is not None
    os.waitid(os.P_PID, process._process.pid, os.WEXITED | os.WNOWAIT)
    process.freeze()
    process.kill()
