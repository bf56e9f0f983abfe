"""What the settings of all adapters share: rules for their values, and how the query of a URL is read."""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol, TypeVar, get_type_hints
from urllib.parse import parse_qsl

from events_core.errors import ConfigurationError

__all__ = ["check_namespace", "check_seconds", "read_query"]

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_TRUTHS: Final[Mapping[str, bool]] = MappingProxyType(
    {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
)


class _Settings(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


AnySettings = TypeVar("AnySettings", bound=_Settings)


def check_namespace(namespace: str) -> None:
    """Refuse, with `ConfigurationError`, what cannot stand before the name of an object on every broker; "" is none."""
    if not _NAMESPACE.fullmatch(namespace):
        raise ConfigurationError("a namespace is up to 64 of the characters A-Z a-z 0-9 _ . -")


def check_seconds(**seconds: float) -> None:
    """Refuse, with a `ConfigurationError` that names it, a setting that is no length of time."""
    for name, value in seconds.items():
        if not 0 < value < math.inf:
            raise ConfigurationError(f"{name} is in seconds, finite and above 0, not {value}")


def read_query(query: str, settings: AnySettings, names: Collection[str]) -> tuple[AnySettings, dict[str, str]]:
    """The settings with what the query of a URL says of these fields, and the rest of the query.

    A field is read as its annotation says: `int`, `float`, `bool` (true or false), `frozenset[str]` (with commas between),
    or else text. Of a parameter that stands there twice the last counts.

    Raises:
        ConfigurationError: a value is none of its field; the message names the parameter, and does not show the value.
    """
    rest = dict(parse_qsl(query, keep_blank_values=True))
    told = {name: rest.pop(name) for name in names if name in rest}
    kinds = get_type_hints(type(settings))
    return replace(settings, **{name: _read(name, kinds[name], text) for name, text in told.items()}), rest


def _read(name: str, kind: object, text: str) -> object:
    read, takes = _READERS.get(kind, (str, "text"))
    try:
        return read(text)
    except (KeyError, ValueError):
        raise ConfigurationError(f"in the query of a URL {name} takes {takes}") from None


def _truth(text: str) -> bool:
    return _TRUTHS[text.lower()]


def _each(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) - {""}


_READERS: Final[Mapping[object, tuple[Callable[[str], object], str]]] = MappingProxyType(
    {
        bool: (_truth, "true or false"),
        int: (int, "a whole number"),
        float: (float, "a number"),
        frozenset[str]: (_each, "names with commas between"),
    }
)
