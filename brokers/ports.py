import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Below the range that systems hand out by themselves: no outgoing connection takes a broker's port while it is down.
CANDIDATES: Final = range(15_000, 32_000)


def free_port() -> int:
    """A port on the loopback interface that nothing listens on."""
    choice = random.SystemRandom()
    for _ in range(100):
        port = choice.choice(CANDIDATES)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found between {CANDIDATES.start} and {CANDIDATES.stop}")
