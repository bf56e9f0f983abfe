"""How an event becomes bytes and an event again. The codec is a port; JSON ships."""

from collections.abc import Callable
from math import isfinite
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from events_core.errors import ContractError, InvalidPayload, MalformedMessage
from events_core.messages.contracts import contract_of
from events_core.messages.failures import invalid_payload
from events_core.messages.finite import float_fields, refuse_not_finite
from events_core.messages.message import DomainEvent, IntegrationEvent

__all__ = ["Codec", "JsonCodec"]

_E = TypeVar("_E", bound=IntegrationEvent)
_EMPTY_OBJECT: Final = 2


class Codec(Protocol):
    """How events travel. A body alone says its type and version."""

    @property
    def content_type(self) -> str:
        """The media type of the bodies, as in "application/json"."""
        ...

    def encode(self, event: IntegrationEvent | DomainEvent) -> bytes:
        """The body of an event, or `InvalidPayload`: what cannot travel is refused here."""
        ...

    def decoder(self, cls: type[_E]) -> Callable[[bytes], _E]:
        """What reads bodies of this class, or `ContractError`. What it raises, `failure` explains."""
        ...

    def failure(self, cls: type[IntegrationEvent], body: bytes, error: Exception) -> InvalidPayload | MalformedMessage:
        """The error to raise for what a decoder of `cls` raised: bad fields, or no event at all."""
        ...

    def peek(self, body: bytes) -> tuple[str, int]:
        """Type and version of a body whose class is not known yet; a body without a version is of version 1."""
        ...


class _Floats(NamedTuple):
    """The fields of a class in which msgspec may have written null for a number."""

    plain: tuple[str, ...]
    within: tuple[str, ...]

    def check(self, event: IntegrationEvent | DomainEvent, body: bytes) -> None:
        for name in self.plain:
            if not isfinite(getattr(event, name)):
                refuse_not_finite(event, self.plain)
        if self.within and b"null" in body:
            refuse_not_finite(event, self.within)


class _Head(msgspec.Struct):
    type: str
    version: int = 1


class JsonCodec:
    """JSON by msgspec: the body is `event.to_dict()`, written in one go."""

    __slots__ = ("_encode", "_peek", "_writing", "content_type")

    def __init__(self) -> None:
        self.content_type: Final = "application/json"
        self._encode = msgspec.json.Encoder().encode
        self._peek = msgspec.json.Decoder(_Head).decode
        self._writing: dict[type[IntegrationEvent | DomainEvent], tuple[bytes, _Floats | None]] = {}

    def encode(self, event: IntegrationEvent | DomainEvent) -> bytes:
        """`{"type": ..., "version": ..., **fields}`. `InvalidPayload` names a field that JSON cannot carry."""
        try:
            head, floats = self._writing[event.__class__]
            fields = self._encode(event)
            if floats:
                floats.check(event, fields)
        except KeyError:
            self._learn(event.__class__)
            return self.encode(event)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise self._culprit(event, error) from error
        return fields.replace(b"{", head, 1) if len(fields) > _EMPTY_OBJECT else head[:-1] + b"}"

    def decoder(self, cls: type[_E]) -> Callable[[bytes], _E]:
        """What reads bodies of this class; `ContractError` if a field's annotation cannot be read."""
        contract_of(cls)
        try:
            return msgspec.json.Decoder(cls).decode
        except (TypeError, NameError, AttributeError) as error:
            raise ContractError(f"{cls.__module__}.{cls.__qualname__} cannot be decoded: {error}") from error

    def failure(self, cls: type[IntegrationEvent], body: bytes, error: Exception) -> InvalidPayload | MalformedMessage:
        """Fields that do not fit are `InvalidPayload`; anything but a JSON object is no event: `MalformedMessage`."""
        try:
            msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError) as reason:
            return MalformedMessage(f"the body is no JSON object: {reason}")
        if isinstance(error, UnicodeError) or error.__class__ is msgspec.DecodeError:
            return MalformedMessage(f"the body is no valid JSON: {error}")
        return invalid_payload(cls, error)

    def peek(self, body: bytes) -> tuple[str, int]:
        """Type and version of a body; the rest is skipped."""
        try:
            head = self._peek(body)
        except (ValueError, RecursionError) as error:
            raise self.failure(IntegrationEvent, body, error) from error
        return head.type, head.version

    def _learn(self, cls: type[IntegrationEvent | DomainEvent]) -> None:
        contract = contract_of(cls)
        alone = msgspec.json.encode({"type": contract.type, "version": contract.version})
        floats = _Floats(*float_fields(cls))
        self._writing[cls] = alone[:-1] + b",", floats if any(floats) else None

    def _culprit(self, event: IntegrationEvent | DomainEvent, error: Exception) -> InvalidPayload:
        cls = event.__class__
        for name in cls.__struct_fields__:
            try:
                self._encode(getattr(event, name))
            except (TypeError, ValueError, RecursionError, OverflowError) as reason:
                return InvalidPayload(cls.__name__, name, str(reason))
        return invalid_payload(cls, error)
