"""`events outbox relay` sends what waits in the outbox of a database, until a signal."""

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What follows `events outbox relay`."""
    parser.add_argument("--database", required=True, metavar="URL", help="where the outbox is")
    parser.add_argument("--bus", required=True, metavar="URL", help="where its events go")


def run(arguments: argparse.Namespace) -> int:
    """Relay until SIGTERM or SIGINT."""
    raise NotImplementedError
