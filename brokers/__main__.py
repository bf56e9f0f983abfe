"""`python -m brokers rabbitmq` runs a broker until it is interrupted.

`python -m brokers install` installs all, and the browser of the tests; `python -m brokers install redis` one of them.
"""

import argparse
import signal
import sys
from collections.abc import Iterable
from threading import Event

from brokers.broker import BrokerFailed, BrokerUnavailable
from brokers.installing import SOFTWARE, install
from brokers.opening import BROKERS, open_broker

INSTALL = "install"


def main() -> int:
    """Do what the command line says; 1 when it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m brokers", description=__doc__)
    parser.add_argument("what", choices=[*BROKERS, INSTALL])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to install: {', '.join(SOFTWARE)}; or all")
    options = parser.parse_args()
    what: str = options.what
    names: list[str] = options.names
    if what != INSTALL and names:
        parser.error(f"{what} takes no other names")
    if unknown := [name for name in names if name not in SOFTWARE]:
        parser.error(f"nothing is called {unknown[0]!r}; there are: {', '.join(SOFTWARE)}")
    try:
        if what == INSTALL:
            return install_each(names or SOFTWARE)
        run(what)
    except (BrokerUnavailable, BrokerFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def install_each(names: Iterable[str]) -> int:
    """Install all that can be; 1 when one could not be, and the reason is printed."""
    failed = 0
    for name in names:
        try:
            say(install(name))
        except BrokerUnavailable as error:
            sys.stderr.write(f"{name}: {error}\n")
            failed = 1
    return failed


def run(name: str) -> None:
    """Run the broker until SIGINT or SIGTERM; its URL is the only line on standard output."""
    interrupted = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: interrupted.set())
    with open_broker(name) as broker:
        say(broker.url)
        interrupted.wait()


def say(*lines: str) -> None:
    """Print, also to a pipe, at once."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
