"""Messages: immutable values that declare what they are by deriving from one of three classes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, Unpack, cast, dataclass_transform

import msgspec

from events_core.errors import ContractError, InvalidPayload, UnknownContract
from events_core.messages.contracts import Contract, Kind, Upcast, contract_of, name_of, registry
from events_core.messages.declaration import (
    StructOptions,
    body_of,
    declared_contract,
    field_problems,
    keyword_problems,
    publishing_problems,
)
from events_core.messages.failures import invalid_payload
from events_core.messages.finite import refuse_not_finite

if TYPE_CHECKING:
    # A default for a type variable is checked, and not needed at run time before Python 3.13 has it.
    from typing_extensions import TypeVar
else:
    from typing import TypeVar

__all__ = ["Command", "DomainEvent", "IntegrationEvent", "Message", "MessageMeta", "upcast"]

_Meta = TypeVar("_Meta", bound="MessageMeta")
_Old = TypeVar("_Old", bound="IntegrationEvent")
if TYPE_CHECKING:
    R_co = TypeVar("R_co", covariant=True, default=None)
else:
    R_co = TypeVar("R_co", covariant=True)
# Inside a message class the word `type` is its attribute.
_ClassOf = type[_Old]


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class MessageMeta(msgspec.StructMeta):
    """Checks a message class where it is written, and enters it under its contract.

    Keywords: `key` names the field that ordering and partitioning use; `abstract=True` makes a base without a
    contract; `published=True` lets a domain event leave the process as well; the others are those of `msgspec.Struct`.
    """

    def __new__(  # noqa: D102, PYI019 type checkers refuse Self in a metaclass; the class docstring says it
        mcs: type[_Meta],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        key: str | None = None,
        abstract: bool = False,
        published: bool = False,
        **options: Unpack[StructOptions],
    ) -> _Meta:
        place = f"{namespace['__module__']}.{namespace['__qualname__']}"
        kinds = _kinds_of(bases)
        _refuse(place, *keyword_problems(options, kinds))

        body = body_of(namespace)
        kind: Kind | None = body.get("__kind__", next(iter(kinds), None))
        contract = declared_contract(body, kind, name, abstract=abstract)
        if isinstance(contract, Contract):
            body |= contract._asdict()
        body["__contract__"] = contract
        if key is not None:
            body["__key__"] = key
        if published:
            _refuse(place, *publishing_problems(kind))
            body["__published__"] = True

        options["frozen"] = True
        cls = super().__new__(mcs, name, bases, body, **options)
        said = [contract] if isinstance(contract, str) else []
        _refuse(place, *said, *field_problems(cls.__struct_fields__, cls.__struct_encode_fields__, key))
        if isinstance(contract, Contract) and kind is not None:
            registry.add(cast("type[Message]", cls), kind, contract, by_name="type" not in namespace)
        return cls


def _kinds_of(bases: tuple[type, ...]) -> list[Kind]:
    messages = [base for base in bases if isinstance(base, MessageMeta) and issubclass(base, Message)]
    return [base.__kind__ for base in messages if base.__kind__ is not None]


def _refuse(place: str, *problems: str) -> None:
    if problems:
        raise ContractError(f"{place}: {'; '.join(problems)}")


class Message(msgspec.Struct, abstract=True, metaclass=MessageMeta):
    """An immutable value with a contract: derive from `Command`, `DomainEvent` or `IntegrationEvent`."""

    type: ClassVar[str]
    version: ClassVar[int]
    __kind__: ClassVar[Kind | None] = None
    __contract__: ClassVar[Contract | None] = None
    __key__: ClassVar[str | None] = None

    def to_dict(self) -> dict[str, object]:
        """`{"type", "version", **fields}` in plain JSON types; `InvalidPayload` for what JSON cannot carry."""
        cls = self.__class__
        contract = contract_of(cls)
        try:
            body = msgspec.json.encode(self)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise invalid_payload(cls, error) from error
        if b"null" in body:
            refuse_not_finite(self, cls.__struct_fields__)
        fields = msgspec.json.decode(body, type=dict[str, object])
        return {"type": contract.type, "version": contract.version, **fields}

    @classmethod
    def from_dict(cls, payload: Mapping[str, object]) -> Self:
        """The message that `to_dict` described: of this class, or on a base, of the class that the payload names.

        An older version comes through its upcasts. Unknown keys are ignored, the payload is left as it is.
        `UnknownContract` or `InvalidPayload` otherwise.
        """
        contract = _contract_in(cls, payload)
        if contract == cls.__contract__:
            return _convert(payload, cls)
        source = _known(cls, contract)
        if cls.__contract__ is None:
            return cast("Self", _convert(payload, source))
        return cast("Self", _upcast(_convert(payload, source), cls))


def _contract_in(cls: type[Message], payload: object) -> Contract:
    if not isinstance(payload, Mapping):
        raise InvalidPayload(cls.__name__, "", f"a payload is a mapping, not {payload!r:.80}")
    said = cast("Mapping[object, object]", payload)
    type_name, version = said.get("type"), said.get("version")
    if not isinstance(type_name, str):
        raise InvalidPayload(cls.__name__, "type", f"must be a str, not {type_name!r:.80}")
    if isinstance(version, bool) or not isinstance(version, int):
        raise InvalidPayload(cls.__name__, "version", f"must be an int, not {version!r:.80}")
    return Contract(type_name, version)


def _known(cls: type[Message], contract: Contract) -> type[Message]:
    if cls.__kind__ is None:
        raise ContractError(
            "call from_dict on Command, DomainEvent or IntegrationEvent, or on a class derived from one"
        )
    source = registry.find(cls.__kind__, contract)
    if cls.__contract__ is None and not issubclass(source, cls):
        raise UnknownContract(*contract, f"{source.__name__} is no {cls.__name__}; call from_dict on a base of both")
    return source


_M = TypeVar("_M", bound=Message)


def _convert(payload: Mapping[str, object], cls: type[_M]) -> _M:
    try:
        return msgspec.convert(payload, cls, str_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid_payload(cls, error) from error


def _upcast(message: Message, wanted: type[Message]) -> Message:
    if isinstance(message, IntegrationEvent) and issubclass(wanted, IntegrationEvent):
        chain = registry.upcast_chain(message.__class__, frozenset({wanted}))
        if chain is not None:
            return upcast(message, chain)
    contract = contract_of(message.__class__)
    raise UnknownContract(*contract, f"it is no {contract_of(wanted).described}, and no upcast leads there")


class Command(Message, Generic[R_co], abstract=True):
    """An intention, handled by exactly one handler. Its type is the class name unless it says otherwise.

    `class Register(Command[UserId])` says that its handler returns a `UserId`; a plain `Command` returns None.
    """

    __kind__: ClassVar[Kind | None] = Kind.COMMAND


class DomainEvent(Message, abstract=True):
    """A fact inside one service, handled in the same transaction; it may hold rich domain objects.

    One that is declared with `published=True` is also sent to other services once the transaction has committed.
    """

    __kind__: ClassVar[Kind | None] = Kind.DOMAIN_EVENT
    __published__: ClassVar[bool] = False


# Decoded JSON holds no reference cycles: the garbage collector need not watch these.
class IntegrationEvent(Message, gc=False, abstract=True):
    """A fact for other services. `type` and `version` are its contract; versions live side by side."""

    __kind__: ClassVar[Kind | None] = Kind.INTEGRATION_EVENT

    @classmethod
    def upcast(cls, source: _ClassOf[_Old]) -> Callable[[Callable[[_Old], Self]], Callable[[_Old], Self]]:
        """Decorate the function that makes this version of an older event: `@V2.upcast(V1)`. Chains are followed."""

        def declare(function: Callable[[_Old], Self]) -> Callable[[_Old], Self]:
            registry.add_upcast(source, cls, function)
            return function

        return declare


def upcast(event: IntegrationEvent, chain: tuple[Upcast, ...]) -> IntegrationEvent:
    """Take an event through a chain of upcasts. What goes wrong inside one is an `InvalidPayload` with its cause."""
    for step in chain:
        name = event.__class__.__name__
        try:
            newer = step(event)
        except Exception as error:
            raise InvalidPayload(name, "", f"its upcast {name_of(step)} failed: {error!r}") from error
        if not isinstance(newer, IntegrationEvent):
            raise InvalidPayload(name, "", f"its upcast {name_of(step)} returned {newer!r:.80}, not an event")
        event = newer
    return event
