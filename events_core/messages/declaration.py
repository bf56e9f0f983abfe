"""The rules of declaring a message class. Each function returns what is wrong, as sentences that say what to do."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict

from events_core.messages.contracts import Contract, Kind

__all__ = ["StructOptions", "body_of", "declared_contract", "field_problems", "keyword_problems", "publishing_problems"]

_ATTRIBUTES: Final = ("type", "version")
_METHODS: Final = ("from_dict", "to_dict", "upcast")
_TYPE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class StructOptions(TypedDict, total=False):
    """The class keywords that msgspec understands, see `msgspec.Struct`."""

    tag: bool | str | int | Callable[[str], str | int] | None
    tag_field: str | None
    rename: (
        Literal["lower", "upper", "camel", "pascal", "kebab"] | Callable[[str], str | None] | Mapping[str, str] | None
    )
    omit_defaults: bool
    forbid_unknown_fields: bool
    frozen: bool
    eq: bool
    order: bool
    kw_only: bool
    repr_omit_defaults: bool
    array_like: bool
    gc: bool
    weakref: bool
    dict: bool
    cache_hash: bool


_REFUSED: Final[Mapping[str, tuple[object, str]]] = MappingProxyType(
    {
        "frozen": (False, "messages are immutable"),
        "array_like": (True, "a payload is an object"),
        "forbid_unknown_fields": (True, "unknown keys are ignored, so that a contract can grow"),
    }
)


def keyword_problems(options: Mapping[str, Any], kinds: Iterable[Kind]) -> Iterator[str]:
    """What is wrong with the keywords and the bases of a class statement."""
    for unknown in sorted(options.keys() - StructOptions.__annotations__.keys()):
        if unknown in _ATTRIBUTES:
            yield f"{unknown} is no class keyword; write it into the body: {unknown} = ..."
        else:
            known = ", ".join(sorted(("abstract", "key", "published", *StructOptions.__annotations__)))
            yield f"{unknown} is no class keyword; there are {known}"
    for name, (value, reason) in _REFUSED.items():
        if options.get(name) is value:
            yield f"{name}={value} is not possible: {reason}"
    if options.get("tag") and options.get("tag_field") in (None, *_ATTRIBUTES):
        yield 'tag would write a second "type" into the payload; the contract tells classes apart, remove tag'
    named = sorted({kind.value for kind in kinds})
    if len(named) > 1:
        yield f"it cannot be a {' and a '.join(named)} at once; choose one base"


def publishing_problems(kind: Kind | None) -> Iterator[str]:
    """What is wrong with `published=True` on this kind of message."""
    if kind is Kind.INTEGRATION_EVENT:
        yield "an integration event is always published; remove published=True"
    elif kind is not Kind.DOMAIN_EVENT:
        yield "only a domain event can be published; remove published=True"


def body_of(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a class body in which `type: str = "..."` is a class attribute, not a field with a default."""
    body = dict(namespace)
    annotations = body.get("__annotations__")
    if annotations is not None:
        attributes = {name for name in _ATTRIBUTES if name in body}
        body["__annotations__"] = {name: hint for name, hint in annotations.items() if name not in attributes}
    return body


def declared_contract(
    body: Mapping[str, Any], kind: Kind | None, default_type: str, *, abstract: bool
) -> Contract | str | None:
    """The contract that a class body declares, None for an abstract one, or the sentence that says what is wrong."""
    if abstract:
        given = " and ".join(name for name in _ATTRIBUTES if name in body)
        return f"an abstract class has no contract; remove {given}, or abstract=True" if given else None
    if kind is None:
        return "derive from Command, DomainEvent or IntegrationEvent, or add abstract=True"
    values: dict[str, Any] = dict(body)
    if kind is not Kind.INTEGRATION_EVENT:
        values = {"type": default_type, "version": 1} | values
    problems = [*_type_problems(values, by_name="type" not in body), *_version_problems(values)]
    # Without a problem one may still be missing: declared as a field, which the look at the fields will say.
    if problems or not values.keys() >= set(_ATTRIBUTES):
        return "; ".join(problems) or None
    # Enumeration members are plain values from here on.
    return Contract(str.__str__(values["type"]), int(values["version"]))


def _type_problems(values: Mapping[str, Any], *, by_name: bool) -> Iterator[str]:
    if "type" not in values:
        if "type" not in values.get("__annotations__", {}):
            yield 'type is missing; write type = "service.what_happened"'
    elif not isinstance(values["type"], str):
        yield f'type is {values["type"]!r}, but must be a str, as in type = "service.what_happened"'
    elif not by_name and not _TYPE_NAME.fullmatch(values["type"]):
        yield f"type is {values['type']!r}, but must be 1 to 200 of the characters A-Z a-z 0-9 _ . -"


def _version_problems(values: Mapping[str, Any]) -> Iterator[str]:
    version = values.get("version")
    if "version" not in values:
        if "version" not in values.get("__annotations__", {}):
            yield "version is missing; write version = 1"
    elif isinstance(version, bool) or not isinstance(version, int):
        yield f"version is {version!r}, but must be an int, as in version = 1"
    elif version < 1:
        yield f"version is {version}, but versions begin at 1"


def field_problems(fields: Iterable[str], encoded: Iterable[str], key: object) -> Iterator[str]:
    """What is wrong with the fields of a created class: their names, the names in the payload, the key."""
    names = tuple(fields)
    for name in _ATTRIBUTES:
        if name in names:
            yield f"{name} is a payload field; declare it as {name} = ..., or give the field another name"
        elif name in encoded:
            yield f"a field is renamed to {name}, which names the contract in the payload; give it another name"
    yield from (
        f"the field {name} hides the method {name}(); give it another name" for name in _METHODS if name in names
    )
    if key is not None and key not in names:
        yield f"key is {key!r}, which is no field; there are {', '.join(names) or 'none'}"
