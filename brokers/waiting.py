import socket
import time
from collections.abc import Callable
from typing import Final

from brokers.broker import BrokerFailed
from brokers.runtime import Runtime

PAUSE: Final = 0.05


def start(name: str, runtime: Runtime, ready: Callable[[], bool], *, timeout: float) -> None:
    """Start the program and return when `ready` says yes; nothing is left running where that fails.

    Raises:
        BrokerFailed: It ended, or was not ready in `timeout` seconds; the message has the end of its log.
    """
    runtime.start()
    try:
        wait_until(ready, runtime, timeout=timeout)
    except BrokerFailed as error:
        runtime.kill()
        runtime.end(timeout=timeout)
        raise BrokerFailed(f"{name}: {error}") from error


def wait_until(ready: Callable[[], bool], runtime: Runtime, *, timeout: float) -> None:
    """Ask `ready` again and again until it says yes.

    Raises:
        BrokerFailed: The program ended, or was not ready in `timeout` seconds; the message carries its last words.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if not runtime.running:
            raise BrokerFailed(f"it ended while it was starting:\n{last_words(runtime)}")
        if time.monotonic() > deadline:
            raise BrokerFailed(f"it was not ready within {timeout:.0f} s:\n{last_words(runtime)}")
        time.sleep(PAUSE)


def answers(host: str, port: int, *, question: bytes, answer: bytes) -> bool:
    """Whether something at the port answers the question with bytes that begin like this."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(question)
            received = b""
            while len(received) < len(answer) and (part := connection.recv(len(answer) - len(received))):
                received += part
            return received == answer
    except OSError:
        return False


def last_words(runtime: Runtime) -> str:
    """The end of the log."""
    return "\n".join(runtime.logs().splitlines()[-40:])
