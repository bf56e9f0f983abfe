"""No module keeps mutable state: clocks, ids and transports come in, state belongs to an instance.

The one exception is the contract registry, which has to know every message type of the process.
"""

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence, MutableSet, Sequence
from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from types import ModuleType
from typing import Final, cast, get_args, get_origin

import msgspec
import pytest

from tests.architecture.source import module_names, modules

REGISTRY = "ContractRegistry"
# Attributes that abstract classes and named tuples get from Python itself.
MADE_BY_PYTHON = ("_abc_", "_field_defaults", "pytestmark")


def is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] in {name.split(".")[0] for name in module_names()}


def is_frozen(value: object) -> bool:
    """Whether an instance of one of our classes cannot change."""
    cls: type = type(value)
    if isinstance(value, enum.Enum | tuple | str | int | float | BaseException | ContextVar):
        return True
    if isinstance(value, msgspec.Struct):
        return value.__struct_config__.frozen
    if "__dataclass_params__" in vars(cls):
        return bool(vars(cls)["__dataclass_params__"].frozen)
    return not hasattr(value, "__dict__") and not any(vars(base).get("__slots__") for base in cls.__mro__)


def is_mutable(value: object) -> bool:
    """Whether a value can change, or holds one that can."""
    if isinstance(value, tuple | frozenset):
        return any(map(is_mutable, cast("Iterable[object]", value)))
    if isinstance(value, MutableSequence | MutableSet | MutableMapping | bytearray | Iterator):
        return True
    if isinstance(value, Mapping):
        return any(map(is_mutable, cast("Mapping[object, object]", value).values()))
    return is_ours(type(value)) and not isinstance(value, type) and not is_frozen(value)


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def class_state(cls: type[object]) -> Iterator[tuple[str, object]]:
    """The mutable attributes that all instances of a class share."""
    if issubclass(cls, enum.Enum):
        return
    for name, value in vars(cls).items():
        if not is_dunder(name) and not name.startswith(MADE_BY_PYTHON) and is_mutable(value):
            yield f"{cls.__qualname__}.{name}", value


def is_declared_read_only(module: ModuleType, name: str) -> bool:
    """Whether the annotation, `Final[Mapping[...]]` or the like, lets type checkers refuse every change."""
    annotations: dict[str, object] = vars(module).get("__annotations__", {})
    declared = annotations.get(name)
    if get_origin(declared) is not Final:
        return False
    (inner,) = get_args(declared)
    return get_origin(inner) in {Mapping, Sequence, AbstractSet}


def module_state(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The mutable values that a module, or a class in it, holds."""
    for name, value in vars(module).items():
        if is_dunder(name):
            continue
        if isinstance(value, type):
            yield from class_state(value) if value.__module__ == module.__name__ else ()
        elif is_mutable(value) and not is_declared_read_only(module, name):
            yield name, value


def test_no_module_holds_mutable_state_except_the_contract_registry() -> None:
    found = {
        f"{module.__name__}:{name}": value
        for module in modules()
        for name, value in module_state(module)
        if type(value).__name__ != REGISTRY
    }
    assert found == {}


def test_there_is_one_contract_registry() -> None:
    registries = {
        id(value) for module in modules() for _, value in module_state(module) if type(value).__name__ == REGISTRY
    }
    assert len(registries) == 1


class Loose:
    """A class whose instances can change."""

    records: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Firm:
    """A class whose instances cannot."""

    name: str


@pytest.mark.parametrize("value", [[], {}, set[int](), bytearray(), iter(()), ([],), Loose()])
def test_a_planted_mutable_value_is_found(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant(value, monkeypatch)
    assert [name for name, _ in module_state(planted)] == ["planted"]


@pytest.mark.parametrize("value", [(), frozenset[int](), "text", 1.5, Firm("x"), ("a", 1), ContextVar[int]("x")])
def test_an_immutable_value_is_left_alone(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(module_state(plant(value, monkeypatch))) == []


def test_a_planted_class_attribute_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = type("Shared", (), {"records": {}, "__module__": "planted"})
    planted = plant(shared, monkeypatch)
    assert [name for name, _ in module_state(planted)] == ["Shared.records"]


def is_of_this_file(cls: type) -> bool:
    return cls.__module__ == __name__


def plant(value: object, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that holds the value, and in which the classes of this file count as ours."""
    monkeypatch.setitem(globals(), "is_ours", is_of_this_file)
    module = ModuleType("planted")
    vars(module)["planted"] = value
    return module
