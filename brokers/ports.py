import os
import random
import socket
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Below the range that systems hand out by themselves: no outgoing connection takes a broker's port while it is down.
CANDIDATES: Final = range(15_000, 32_000)
WORKERS: Final = 8


def _turns() -> Iterator[int]:
    """The ports of this worker, where several run tests at once: others cannot take them before a broker listens."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    own = CANDIDATES[int(worker) % WORKERS :: WORKERS] if worker else CANDIDATES
    return cycle(random.SystemRandom().sample(own, len(own)))


# In turn, not by chance each time: one that was given out and is not yet listened on is not given out again.
_TURNS: Final = _turns()


def free_port() -> int:
    """A port on the loopback interface that nothing listens on."""
    for port in islice(_TURNS, 100):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found between {CANDIDATES.start} and {CANDIDATES.stop}")
