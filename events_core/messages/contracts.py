"""The contracts of this process: which class stands behind a type and version, and how old events become newer ones.

The registry at the end of this module is the only state that a module of this library holds: classes declare
themselves where they are written, so that `from_dict` and upcasts find them.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from os.path import realpath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from events_core.errors import ContractError, UnknownContract

if TYPE_CHECKING:
    from events_core.messages.message import IntegrationEvent, Message

__all__ = ["Contract", "ContractRegistry", "Kind", "Upcast", "contract_of", "name_of", "registry"]

# The functions of a chain fit each other by the way they were declared, which types cannot express.
Upcast = Callable[[Any], object]


class Kind(Enum):
    """What a message is. Contracts of different kinds never meet."""

    COMMAND = "command"
    DOMAIN_EVENT = "domain event"
    INTEGRATION_EVENT = "integration event"


class Contract(NamedTuple):
    """What both sides of a message agree on: its type name and the version of its fields."""

    type: str
    version: int

    @property
    def described(self) -> str:
        """The contract in words, for messages to people."""
        return f"{self.type} version {self.version}"


class _Identity(NamedTuple):
    """One class statement: imported anew, or run as a script and imported, it is the same class."""

    source: str
    qualified_name: str


@dataclass(frozen=True, slots=True)
class _Declared:
    cls: "type[Message]"
    by_name: bool


@dataclass(frozen=True, slots=True)
class _Step:
    source: "type[IntegrationEvent]"
    target: "type[IntegrationEvent]"
    function: Upcast


class ContractRegistry:
    """Classes by contract, and the upcasts between them."""

    def __init__(self) -> None:
        self._classes: dict[tuple[Kind, Contract], dict[_Identity, _Declared]] = {}
        self._steps: dict[tuple[Contract, Contract], _Step] = {}

    def add(self, cls: "type[Message]", kind: Kind, contract: Contract, *, by_name: bool) -> None:
        """Enter a class under its contract, replacing an earlier run of the same class statement.

        `by_name`: the type is only the name of the class; others may have the same until one of them is looked up.
        """
        declared = self._classes.get((kind, contract), {})
        identity = _identity(cls)
        for other, rival in declared.items():
            if other != identity and not by_name and not rival.by_name:
                message = f"{_place(cls)}: {contract.described} is the contract of {_place(rival.cls)}; give one another type or version"
                raise ContractError(message)
        self._classes[kind, contract] = {**declared, identity: _Declared(cls, by_name)}

    def find(self, kind: Kind, contract: Contract) -> "type[Message]":
        """The class behind a contract, or `UnknownContract`."""
        declared = list(self._classes.get((kind, contract), {}).values())
        if not declared:
            raise UnknownContract(*contract, self._advice(kind, contract))
        if len(declared) > 1:
            places = " and ".join(_place(rival.cls) for rival in declared)
            raise UnknownContract(*contract, f'{places} share that name; give each its own: type = "..."')
        return declared[0].cls

    def _advice(self, kind: Kind, contract: Contract) -> str:
        same_type = (known for known_kind, known in self._classes if (known_kind, known.type) == (kind, contract.type))
        versions = sorted(known.version for known in same_type)
        if versions:
            return f"known here: version {', '.join(map(str, versions))}"
        return f"import the module that declares this {kind.value}, or check the spelling"

    def add_upcast(self, source: "type[IntegrationEvent]", target: "type[IntegrationEvent]", function: Upcast) -> None:
        """Enter the function that makes a `target` of a `source`."""
        pair = contract_of(source), contract_of(target)
        name = name_of(function)
        if inspect.iscoroutinefunction(function):
            raise ContractError(f"{name}: an upcast is a plain function, not an async one")
        declared = self._steps.get(pair)
        if declared is not None and declared.target is target and _origin(declared.function) != _origin(function):
            names = f"{name_of(declared.function)} and {name}"
            raise ContractError(f"two upcasts from {pair[0].described} to {pair[1].described}: {names}; keep one")
        if pair[0] == pair[1] or self.upcast_chain(target, frozenset({source})) is not None:
            steps = f"{pair[0].described} to {pair[1].described}"
            raise ContractError(f"{name}: the upcast from {steps} closes a circle; remove one of its steps")
        self._steps[pair] = _Step(source, target, function)

    def upcast_chain(
        self, source: "type[IntegrationEvent]", wanted: AbstractSet["type[IntegrationEvent]"]
    ) -> tuple[Upcast, ...] | None:
        """The fewest upcasts from `source` to one of the wanted classes: () if it is wanted itself, None without a way."""
        goals = {contract_of(cls) for cls in wanted}
        paths: dict[Contract, tuple[Upcast, ...]] = {contract_of(source): ()}
        for contract in (reached := list(paths)):
            if contract in goals:
                return paths[contract]
            for target, step in self._steps_from(contract):
                if target not in paths:
                    paths[target] = (*paths[contract], step.function)
                    reached.append(target)
        return None

    def _steps_from(self, contract: Contract) -> Iterator[tuple[Contract, _Step]]:
        return ((target, step) for (source, target), step in self._steps.items() if source == contract)

    def upcast_sources(
        self, wanted: AbstractSet["type[IntegrationEvent]"]
    ) -> dict["type[IntegrationEvent]", tuple[Upcast, ...]]:
        """Every class that is not wanted itself but can be made into one that is, with its chain."""
        goals = {contract_of(cls) for cls in wanted}
        sources = {step.source for (source, _), step in self._steps.items() if source not in goals}
        chains = ((source, self.upcast_chain(source, wanted)) for source in sources)
        return {source: chain for source, chain in chains if chain is not None}


def contract_of(cls: "type[Message]") -> Contract:
    """The contract of a concrete message class; `ContractError` for a base without one."""
    contract = cls.__contract__
    if contract is None:
        raise ContractError(f"{_place(cls)} is abstract and has no contract; use a class derived from it")
    return contract


def _identity(cls: type) -> _Identity:
    # A notebook or a prompt has no file: there a class is what its name says.
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return _Identity(realpath(file) if file else cls.__module__, cls.__qualname__)


def _origin(function: Upcast) -> object:
    code = getattr(function, "__code__", None)
    return (realpath(code.co_filename), code.co_firstlineno, function.__qualname__) if code else function


def name_of(function: Upcast) -> str:
    """Where a function is written, for messages to people."""
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


registry: Final = ContractRegistry()
