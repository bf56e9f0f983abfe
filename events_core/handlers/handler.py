"""A handler: a callable that takes a message first, and by name what else it needs."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, TypeGuard, Union, cast, get_args, get_origin, get_type_hints

from events_core.errors import ConfigurationError
from events_core.messages import Message

__all__ = ["Handler", "handler_of", "is_async", "message_types_of"]

_BY_POSITION: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A callable, known over processes and releases by its module and qualified name."""

    name: str
    call: Callable[..., Any]
    """Takes the message by position, and what it needs and welcomes by name."""
    needs: tuple[str, ...]
    welcomes: tuple[str, ...]
    """What it has defaults for, and is given where there is some."""
    is_async: bool

    def arguments(self, scope: Mapping[str, object]) -> dict[str, object]:
        """What it is called with beside the message. `ConfigurationError` for what is not in the scope."""
        try:
            given = {name: scope[name] for name in self.needs}
        except KeyError as error:
            raise ConfigurationError(
                f"the handler {self.name} needs {error.args[0]}, and this call gave none; "
                "hand it to handle(), or give the parameter a default"
            ) from None
        if self.welcomes:
            given |= {name: scope[name] for name in self.welcomes if name in scope}
        return given


def handler_of(call: Callable[..., Any]) -> Handler:
    """Read the signature of a function, a bound method, a callable object, or a handler class.

    A handler class is made anew for each message: its constructor and its method `handle` (or `__call__`) say by name
    what they need. What cannot be a handler is a `ConfigurationError`.
    """
    if inspect.isclass(call):
        return _handler_of_class(call)
    name = _name_of(call)
    bound = call.keywords if _is_partial(call) else {}
    needs, welcomes = _named(name, [each for each in _parameters(name, call) if each.name not in bound])
    _refuse_generator(name, call)
    return Handler(name=name, call=call, needs=needs, welcomes=welcomes, is_async=is_async(call))


def message_types_of(call: Callable[..., Any]) -> tuple[type[Message], ...]:
    """The message classes that the annotation of the first parameter names; several in a union."""
    name = _name_of(call)
    parameters = _parameters_of_method(name, call) if inspect.isclass(call) else _parameters(name, call)
    # The others may name what is imported for type checkers alone.
    first = SimpleNamespace(__annotations__={"message": parameters[0].annotation})
    try:
        hints = get_type_hints(first, _globals_of(call))
    except (NameError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"the first annotation of {name} cannot be read: {error}") from error
    found = _members(hints["message"])
    if not found or not all(inspect.isclass(each) and issubclass(each, Message) for each in found):
        raise ConfigurationError(f"annotate the first parameter of {name} with the message class that it handles")
    return cast("tuple[type[Message], ...]", found)


def _handler_of_class(cls: type[object]) -> Handler:
    name = _name_of(cls)
    if inspect.isabstract(cls):
        raise ConfigurationError(f"the handler class {name} is abstract; register what derives from it")
    needs, welcomes = _named(name, _parameters_of_method(name, cls))
    made_of, made_of_too = _named(name, _parameters(name, cls, least=0), skip=0)
    method = _method_of(name, cls)
    _refuse_generator(name, method)

    def call(message: Message, /, **given: object) -> object:
        handler = cls(**{each: given[each] for each in (*made_of, *made_of_too) if each in given})
        return method(handler, message, **{each: given[each] for each in (*needs, *welcomes) if each in given})

    return Handler(
        name=name,
        call=call,
        needs=tuple(dict.fromkeys((*made_of, *needs))),
        welcomes=tuple(dict.fromkeys((*made_of_too, *welcomes))),
        is_async=is_async(method),
    )


def _named(
    name: str, parameters: Iterable[inspect.Parameter], *, skip: int = 1
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parameters after the message: those that must be given, and those that have a default."""
    listed = list(parameters)
    if skip and (not listed or listed[0].kind not in _BY_POSITION):
        raise ConfigurationError(
            f"the handler {name} takes the message first, by position; a decorator around it needs functools.wraps"
        )
    others = [each for each in listed[skip:] if each.kind in (*_BY_NAME, inspect.Parameter.POSITIONAL_ONLY)]
    unnamed = [each.name for each in others if each.kind not in _BY_NAME]
    if unnamed:
        raise ConfigurationError(f"the handler {name} takes {', '.join(unnamed)} by position only; take it by name")
    empty = inspect.Parameter.empty
    needs = tuple(each.name for each in others if each.default is empty)
    return needs, tuple(each.name for each in others if each.default is not empty)


def _parameters(name: str, call: Callable[..., Any], *, least: int = 1) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} cannot be a handler: {error}") from error
    if len(parameters) < least:
        raise ConfigurationError(f"the handler {name} takes no message; its first parameter is the message")
    return parameters


def _parameters_of_method(name: str, cls: type[object]) -> list[inspect.Parameter]:
    _, *parameters = _parameters(name, _method_of(name, cls))
    if not parameters:
        raise ConfigurationError(f"the handler {name} takes no message; its first parameter is the message")
    return parameters


def _method_of(name: str, cls: type[object]) -> Callable[..., Any]:
    # A class itself can always be called: only what it defines counts.
    names = ("handle", "__call__")
    method = next((vars(base)[each] for each in names for base in cls.__mro__ if each in vars(base)), None)
    if not callable(method) or isinstance(method, staticmethod | classmethod):
        raise ConfigurationError(f"the handler class {name} has no method; give it handle(self, message)")
    return cast("Callable[..., Any]", method)


def _is_partial(call: Callable[..., Any]) -> TypeGuard["partial[Any]"]:
    return isinstance(call, partial)


def _refuse_generator(name: str, call: Callable[..., Any]) -> None:
    for each in (call, getattr(call, "__call__", None)):  # noqa: B004 its kind is asked for, not whether it is there
        if inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each):
            raise ConfigurationError(f"{name} is a generator function, and nobody runs it; do without yield")


def _globals_of(call: Callable[..., Any]) -> dict[str, Any]:
    """Where the names of a string annotation come from."""
    if inspect.isclass(call):
        call = _method_of("", call)
    elif _is_partial(call):
        return _globals_of(call.func)
    elif not inspect.isroutine(call):
        call = type(call).__call__
    return getattr(inspect.unwrap(call), "__globals__", {})


def _members(annotation: object) -> tuple[object, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return () if annotation is None else (annotation,)


def _name_of(call: Callable[..., Any]) -> str:
    if _is_partial(call) and not hasattr(call, "__qualname__"):
        return _name_of(call.func)
    kind = type(call)
    return f"{getattr(call, '__module__', kind.__module__)}.{getattr(call, '__qualname__', kind.__qualname__)}"


def is_async(call: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, as far as can be seen before."""
    if _is_partial(call):
        return is_async(call.func)
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004 its kind is asked for, not whether it is there
