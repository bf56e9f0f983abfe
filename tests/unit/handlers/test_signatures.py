"""What can be a handler, and what it says it needs."""

import functools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import pytest

from events_core.errors import ConfigurationError
from events_core.handlers import handler_of, message_types_of
from events_core.messages import Message
from tests.unit.domain.scene import Brew, Brewed

M = TypeVar("M", bound=Message)

SCOPE = {"store": "store", "clock": "clock", "name": "given"}


def call(callable_: Callable[..., Any]) -> object:
    """What the handler returns for a message, in a scope of three things."""
    handler = handler_of(callable_)
    return handler.call(Brew(), **handler.arguments(SCOPE))


def function(command: Brew, store: str, *, clock: str, name: str = "default", other: str = "default") -> list[str]:
    return [store, clock, name, other]


class Service:
    def method(self, command: Brew, store: str) -> list[str]:
        return [store]

    @classmethod
    def of_class(cls, command: Brew, store: str) -> list[str]:
        return [cls.__name__, command.type, store]

    @staticmethod
    def static(command: Brew, store: str) -> list[str]:
        return [command.type, store]

    def __call__(self, command: Brew, clock: str) -> list[str]:
        return [clock]


class WithOptions:
    def __init__(self, store: str, *rest: str, name: str = "default", **options: str) -> None:
        self.taken = [store, *rest, name, *options]


class Inherits(WithOptions):
    def handle(self, command: Brew, clock: str) -> list[str]:
        return [*self.taken, clock]


class WithoutConstructor:
    def handle(self, command: Brew, clock: str) -> list[str]:
        return [clock]


class Called:
    def __call__(self, command: Brew, store: str) -> list[str]:
        return [store]


class SharesNames:
    def __init__(self, store: str) -> None:
        self._store = store

    def handle(self, command: Brew, store: str, message: str = "none") -> list[str]:
        return [self._store, store, message]


@dataclass(frozen=True, slots=True)
class InDataclass:
    store: str
    name: str = "default"

    def handle(self, command: Brew) -> list[str]:
        return [self.store, self.name]


class Abstract(ABC, Generic[M]):
    @abstractmethod
    def handle(self, message: M) -> object:
        """Handle it."""


class Concrete(Abstract[Brew]):
    def handle(self, message: Brew) -> list[str]:
        return ["concrete"]


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> list[str]:
        return ["decorated", *function(*args, **kwargs)]

    return wrapper


CASES: list[tuple[Callable[..., Any], list[str]]] = [
    (function, ["store", "clock", "given", "default"]),
    (Service().method, ["store"]),
    (Service.of_class, ["Service", "Brew", "store"]),
    (Service.static, ["Brew", "store"]),
    (Service(), ["clock"]),
    (functools.partial(function, store="mine"), ["mine", "clock", "given", "default"]),
    (functools.partial(Service.method, Service()), ["store"]),
    (functools.partial(Service(), clock="mine"), ["mine"]),
    (decorated(function), ["decorated", "store", "clock", "given", "default"]),
    (Inherits, ["store", "given", "clock"]),
    (WithoutConstructor, ["clock"]),
    (Called, ["store"]),
    (SharesNames, ["store", "store", "none"]),
    (InDataclass, ["store", "given"]),
    (Concrete, ["concrete"]),
]


@pytest.mark.parametrize(("callable_", "returned"), CASES)
def test_a_handler_gets_what_its_parameters_name(callable_: Callable[..., Any], returned: list[str]) -> None:
    assert call(callable_) == returned


@pytest.mark.parametrize("callable_", [each for each, _ in CASES])
def test_the_first_annotation_names_the_message(callable_: Callable[..., Any]) -> None:
    assert message_types_of(callable_) == (Brew,)


def test_a_handler_class_is_made_anew_for_each_message() -> None:
    made: list[object] = []

    class Counted:
        def __init__(self) -> None:
            made.append(self)

        def handle(self, command: Brew) -> object:
            return self

    handler = handler_of(Counted)
    assert [handler.call(Brew()), handler.call(Brew())] == made


def test_what_is_a_coroutine_function_is_known_for_every_kind() -> None:
    async def coroutine(command: Brew) -> None:
        """Is one."""

    class Asynchronous:
        async def handle(self, command: Brew) -> None:
            """Is one."""

        async def __call__(self, command: Brew) -> None:
            """Is one."""

    kinds: list[Callable[..., Any]] = [
        coroutine,
        Asynchronous,
        Asynchronous(),
        Asynchronous().handle,
        functools.partial(coroutine),
        functools.partial(Asynchronous()),
    ]
    assert all(handler_of(each).is_async for each in kinds)
    assert not any(handler_of(each).is_async for each, _ in CASES)


def test_a_handler_that_gets_not_what_it_needs_says_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"test_signatures\.function needs clock, and this call gave none"):
        handler_of(function).arguments({"store": ""})


def refuse(*cases: tuple[Callable[..., Any], str]) -> None:
    for callable_, reason in cases:
        with pytest.raises(ConfigurationError, match=reason):
            handler_of(callable_)


def test_what_cannot_be_a_handler_is_refused_with_the_reason() -> None:
    def nothing() -> None:
        """Takes nothing."""

    def by_name(*, command: Brew) -> None:
        """Takes the message by name."""

    def by_position(command: Brew, store: str, /) -> None:
        """Takes a dependency by position."""

    def undressed(*args: object, **kwargs: object) -> None:
        """Hides what it takes."""

    def generator(command: Brew) -> Iterator[int]:
        yield 1

    async def async_generator(command: Brew) -> AsyncIterator[int]:
        yield 1

    refuse(
        (nothing, "takes no message; its first parameter is the message"),
        (functools.partial(by_name, command=Brew()), "takes the message first, by position"),
        (by_name, "takes the message first, by position"),
        (by_position, "takes store by position only; take it by name"),
        (undressed, r"a decorator around it needs functools\.wraps"),
        (generator, "is a generator function, and nobody runs it"),
        (async_generator, "is a generator function, and nobody runs it"),
        (cast("Callable[..., Any]", 3), "cannot be a handler"),
    )


def test_a_class_that_cannot_be_a_handler_is_refused_with_the_reason() -> None:
    class Nothing:
        pass

    class Empty:
        def handle(self) -> None:
            """Takes nothing."""

    class Static:
        @staticmethod
        def handle(command: Brew) -> None:
            """Needs no object."""

    refuse(
        (Nothing, r"has no method; give it handle\(self, message\)"),
        (Empty, "takes no message"),
        (Static, r"has no method; give it handle\(self, message\)"),
        (Abstract, "is abstract; register what derives from it"),
    )


def test_names_are_those_of_the_code() -> None:
    def local(event: Brewed) -> None:
        """Has a long name."""

    assert handler_of(Service).name == f"{__name__}.Service"
    assert handler_of(Service().method).name == f"{__name__}.Service.method"
    assert handler_of(Service()).name == f"{__name__}.Service"
    assert handler_of(functools.partial(function, store="x")).name == f"{__name__}.function"
    assert handler_of(local).name == f"{__name__}.test_names_are_those_of_the_code.<locals>.local"
