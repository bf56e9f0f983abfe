import time
from collections.abc import Callable

__all__ = ["eventually"]


def eventually(happened: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Whether it happens within so many seconds; asked fifty times a second."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
