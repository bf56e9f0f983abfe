"""`events topology module:bus` shows what a bus consumes, and what follows a failure, without connecting."""

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from events_core.cli.rendering import as_mermaid, as_svg, as_table
from events_core.integration import IntegrationEventBus, Topology

__all__ = ["NoBus", "add_arguments", "find_bus", "run"]

_FORMATS: Final[Mapping[str, Callable[[Topology], str]]] = MappingProxyType(
    {"table": as_table, "mermaid": as_mermaid, "svg": as_svg}
)
_WRONG_USE: Final = 2


class NoBus(Exception):
    """The target leads to no bus; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What follows `events topology`."""
    parser.add_argument(
        "target", metavar="MODULE:BUS", help="where the bus is, or a function without arguments that makes it"
    )
    parser.add_argument("--format", choices=tuple(_FORMATS), default="table", help="how to show it (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Print the topology; 2 if there is no bus at the target."""
    try:
        bus = find_bus(arguments.target)
    except NoBus as error:
        sys.stderr.write(f"events topology: {error}\n")
        return _WRONG_USE
    sys.stdout.write(_FORMATS[arguments.format](bus.describe()))
    return 0


def find_bus(target: str) -> IntegrationEventBus:
    """The bus at `module:attribute`; modules of the working directory are found as well.

    Raises:
        NoBus: with the reason.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        raise NoBus(f"{target!r} is not MODULE:BUS, as in `shop.events:bus`")
    found = _attribute(_module(module_name), module_name, path)
    if callable(found):
        found = _made(found, target)
    if not isinstance(found, IntegrationEventBus):
        raise NoBus(f"{target} is of type {type(found).__name__}; name a bus, or a function that makes one")
    return found


def _module(name: str) -> object:
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise NoBus(
                f"there is no module {error.name}; it is looked for in {here} and where Python looks"
            ) from error
        raise NoBus(f"importing {name} failed: {error}") from error
    except (Exception, SystemExit) as error:
        raise NoBus(f"importing {name} failed: {type(error).__name__}: {error}") from error


def _attribute(module: object, module_name: str, path: str) -> object:
    found = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            there_is = [each for each, value in vars(module).items() if isinstance(value, IntegrationEventBus)]
            advice = f"; there is {', '.join(there_is)}" if there_is else ""
            raise NoBus(f"{module_name} has no {path}{advice}") from None
    return found


def _made(factory: Callable[[], object], target: str) -> object:
    try:
        return factory()
    except Exception as error:
        raise NoBus(f"{target}() failed: {type(error).__name__}: {error}; it is called without arguments") from error
