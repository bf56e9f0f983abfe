"""`python -m brokers rabbitmq` runs a broker until it is interrupted; `python -m brokers install` installs all."""

import argparse
import signal
import sys
from threading import Event

from brokers.broker import BrokerFailed, BrokerUnavailable
from brokers.installing import install
from brokers.opening import BROKERS, open_broker

INSTALL = "install"


def main() -> int:
    """Do what the command line says; 1 when it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m brokers", description=__doc__)
    parser.add_argument("what", choices=[*BROKERS, INSTALL])
    what: str = parser.parse_args().what
    try:
        if what == INSTALL:
            return install_all()
        run(what)
    except (BrokerUnavailable, BrokerFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def install_all() -> int:
    """Install every broker that can be; 1 when one could not be, and the reason is printed."""
    failed = 0
    for name in BROKERS:
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
