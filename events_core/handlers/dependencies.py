"""What handlers are given by name."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, cast

import anyio

from events_core.errors import ConfigurationError
from events_core.handlers.handler import Handler, is_async

__all__ = ["Dependencies", "Factory", "Scope"]

_OTHERS: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_NONE: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Factory:
    """A dependency that is made anew each time a caller hands over a message, when a handler first needs it.

    `make` takes nothing, or `uow` by name; it may be a coroutine function where the handlers may. One that cannot do
    without more is a `ConfigurationError`.
    """

    make: Callable[..., object]
    _takes_uow: bool = field(init=False, repr=False, compare=False)
    needs_uow: bool = field(init=False, repr=False, compare=False)
    """Whether it cannot do without a unit of work."""

    def __post_init__(self) -> None:
        parameters = _parameters_of(self.make)
        needs = [name for name, each in parameters.items() if each.default is each.empty and each.kind not in _OTHERS]
        if needs not in ([], ["uow"]):
            more = ", ".join(each for each in needs if each != "uow")
            name = getattr(self.make, "__qualname__", repr(self.make))
            raise ConfigurationError(
                f"the factory {name} takes {more}; it takes nothing, or uow: wrap it in a function that gives the rest"
            )
        object.__setattr__(self, "_takes_uow", "uow" in parameters)
        object.__setattr__(self, "needs_uow", bool(needs))

    def __call__(self, scope: Mapping[str, object]) -> object:
        """Make one; it gets the `uow` of this scope, if there is one."""
        return self.make(uow=scope["uow"]) if self._takes_uow and "uow" in scope else self.make()

    @property
    def is_async(self) -> bool:
        """Whether what it makes is awaited."""
        return is_async(self.make)


class Dependencies:
    """What every handler of a bus or consumer may name.

    `at_call` are the names that each call promises to give, `reserved` those that come from the bus itself.
    """

    def __init__(
        self,
        values: Mapping[str, object] | None = None,
        *,
        at_call: Iterable[str] = (),
        reserved: Sequence[str] = (),
    ) -> None:
        given = dict(values or {})
        self._at_call = frozenset(at_call)
        taken = sorted((given.keys() | self._at_call) & set(reserved))
        if taken:
            raise ConfigurationError(f"{', '.join(taken)} comes from the bus itself; call the dependency otherwise")
        for name, each in given.items():
            if isinstance(each, Factory) and each.needs_uow and "uow" not in reserved:
                raise ConfigurationError(
                    f"the factory of {name} needs uow, and there is none here; let it take nothing"
                )
        self._factories = {name: each for name, each in given.items() if isinstance(each, Factory)}
        self._values = {name: each for name, each in given.items() if name not in self._factories}
        self._hooked = frozenset(name for name, each in self._values.items() if wants_hooks(each))
        self._known = frozenset((*given, *self._at_call, *reserved))

    @property
    def is_async(self) -> bool:
        """Whether one of the factories has to be awaited."""
        return any(each.is_async for each in self._factories.values())

    def check(self, handler: Handler) -> None:
        """Refuse a handler that needs what nobody gives, with `ConfigurationError`."""
        missing = [name for name in handler.needs if name not in self._known]
        if missing:
            names = ", ".join(missing)
            there = ", ".join(sorted(self._known)) or "nothing"
            raise ConfigurationError(
                f"the handler {handler.name} needs {names}, and nobody gives it; there is {there}: "
                "add it to dependencies, or to at_call where each call gives it"
            )

    def scope(self, given: Mapping[str, object] = _NONE) -> "Scope":
        """What the handlers of one call are given. `ConfigurationError` if the call does not give what it promised."""
        if self._at_call and (missing := sorted(self._at_call - given.keys())):
            raise ConfigurationError(f"this call has to give {', '.join(missing)}, as at_call says")
        scope = Scope({**self._values, **given}, self._factories, self._hooked)
        for name, each in given.items():
            scope.keep(name, each)
        return scope


class Scope:
    """What the handlers of one call share: each factory makes its dependency once."""

    __slots__ = ("_factories", "_making", "hooked", "is_plain", "values")

    def __init__(self, values: dict[str, object], factories: Mapping[str, Factory], hooked: AbstractSet[str]) -> None:
        self.values: dict[str, object] = values
        self.hooked: AbstractSet[str] = hooked
        """The names of those that want to be told about the end of a unit of work."""
        self.is_plain: bool = not factories and not hooked
        """Whether everything is there, and nobody wants to be told anything."""
        self._factories = factories
        self._making: anyio.Lock | None = None

    def arguments(self, handler: Handler) -> dict[str, object]:
        """For a handler, where no factory is asynchronous."""
        for name, factory in self._missing(handler):
            made = self._make(name, factory)
            if inspect.iscoroutine(made):
                made.close()
                raise ConfigurationError(f"the factory of {name} returned a coroutine; use AsyncMessageBus")
            self.keep(name, made)
        return handler.arguments(self.values)

    async def arguments_async(self, handler: Handler) -> dict[str, object]:
        """For a handler, with factories of either kind; handlers side by side get the same."""
        if self._missing(handler):
            self._making = self._making or anyio.Lock()
            async with self._making:
                for name, factory in self._missing(handler):
                    made = self._make(name, factory)
                    self.keep(name, await cast("Awaitable[object]", made) if inspect.isawaitable(made) else made)
        return handler.arguments(self.values)

    def keep(self, name: str, dependency: object) -> None:
        """Have a dependency from here on."""
        self.values[name] = dependency
        if wants_hooks(dependency):
            self.hooked = self.hooked | {name}
            self.is_plain = False

    def _make(self, name: str, factory: Factory) -> object:
        if factory.needs_uow and "uow" not in self.values:
            raise ConfigurationError(f"the factory of {name} needs uow; hand a unit of work to handle()")
        return factory(self.values)

    def _missing(self, handler: Handler) -> list[tuple[str, Factory]]:
        if not self._factories:
            return []
        named = (*handler.needs, *handler.welcomes)
        return [(name, self._factories[name]) for name in named if name in self._factories and name not in self.values]


def wants_hooks(dependency: object) -> bool:
    """Whether it is told about the end of a unit of work: `after_commit()`, `after_rollback()`."""
    if isinstance(dependency, type):
        return False
    return hasattr(dependency, "after_commit") or hasattr(dependency, "after_rollback")


def _parameters_of(make: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(make).parameters
    except ValueError:  # some built-in classes have no signature
        return {}
