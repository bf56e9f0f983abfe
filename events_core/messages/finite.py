"""JSON knows no NaN and no infinity, and msgspec writes null for them without a word. Here they are found."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Final, cast

import msgspec
from msgspec import inspect

from events_core.errors import InvalidPayload

__all__ = ["float_fields", "refuse_not_finite"]

_FLOATS: Final = (inspect.FloatType, inspect.AnyType, inspect.CustomType, inspect.RawType)
_NO_FLOATS: Final = (inspect.DecimalType, inspect.EnumType, inspect.LiteralType)


def float_fields(cls: type[msgspec.Struct]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fields that are floats, and those that may hold one somewhere inside or instead of something else."""
    described = _field_types(cls)
    floats = [name for name, described_type in described.items() if _may_hold_float(described_type, set())]
    plain = tuple(name for name in floats if isinstance(described[name], inspect.FloatType))
    return plain, tuple(name for name in floats if name not in plain)


def refuse_not_finite(event: msgspec.Struct, names: Iterable[str]) -> None:
    """Raise `InvalidPayload` if one of these fields is or holds a number that JSON cannot carry."""
    for name in names:
        _refuse(event, name, getattr(event, name))


def _field_types(cls: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    try:
        described = inspect.type_info(cls)
    except (TypeError, NameError, AttributeError):
        # Such a class can be sent, if not received: all its fields are looked at.
        return dict.fromkeys(cls.__struct_fields__, inspect.AnyType())
    assert isinstance(described, inspect.StructType)  # noqa: S101 this is what msgspec says of every Struct
    return {field.name: field.type for field in described.fields}


def _may_hold_float(described: object, seen: set[int]) -> bool:
    # Recursive classes are described by objects that contain themselves.
    if id(described) in seen or isinstance(described, _NO_FLOATS):
        return False
    seen.add(id(described))
    return isinstance(described, _FLOATS) or any(_may_hold_float(part, seen) for part in _described_parts(described))


def _described_parts(described: object) -> Iterable[object]:
    if isinstance(described, tuple):
        return cast("tuple[object, ...]", described)
    if isinstance(described, inspect.Type | inspect.Field):
        return [getattr(described, name) for name in described.__struct_fields__]
    return ()


def _refuse(event: msgspec.Struct, path: str, value: object) -> None:
    if isinstance(value, float):
        if not isfinite(value):
            reason = f"JSON cannot carry {value!r}; send None or leave it out"
            raise InvalidPayload(event.__class__.__name__, path, reason)
        return
    for name, part in _parts(value):
        _refuse(event, f"{path}{name}", part)


def _parts(value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return [(f"[{key!r}]", part) for key, part in items]
    if isinstance(value, list | tuple | set | frozenset):
        return [(f"[{index}]", part) for index, part in enumerate(cast("Iterable[object]", value))]
    return [(f".{name}", getattr(value, name)) for name in _field_names(value)]


def _field_names(value: object) -> Iterable[str]:
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in fields(value)]
    return ()
