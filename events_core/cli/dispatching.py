"""Finds the subcommand. A new one is a module with `add_arguments` and `run`, and a row in `_COMMANDS`."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from events_core.cli import outbox_relay, topology

__all__ = ["main"]


class _Group(Protocol):
    """Commands that begin with the same words."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser: ...  # noqa: A002 its name


@dataclass(frozen=True, slots=True)
class _Command:
    """What follows `events`: one or two words."""

    words: tuple[str, ...]
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


_COMMANDS: Final = (
    _Command(("topology",), "show what a bus consumes", topology.add_arguments, topology.run),
    _Command(("outbox", "relay"), "send what waits in an outbox", outbox_relay.add_arguments, outbox_relay.run),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line (or these arguments) says, and return the exit code; 2 for a wrong use."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    return run(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="events", description="Typed events between services.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    groups: dict[str, _Group] = {}
    for command in _COMMANDS:
        *above, word = command.words
        if above and above[0] not in groups:
            groups[above[0]] = _group(commands, above[0])
        group = groups[above[0]] if above else commands
        own = group.add_parser(word, help=command.help, description=command.help)
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    return parser


def _group(commands: _Group, name: str) -> _Group:
    about = f"commands about the {name}"
    parser = commands.add_parser(name, help=about, description=about)
    return parser.add_subparsers(required=True, metavar="COMMAND")
