"""What a registration can read: its events, and the older ones that upcasts make into them."""

from collections.abc import Callable, Iterable

from events_core.errors import UnknownContract
from events_core.messages.codec import Codec
from events_core.messages.contracts import Upcast, contract_of, registry
from events_core.messages.message import IntegrationEvent, upcast

__all__ = ["Decoders"]

_Reading = tuple[Callable[[bytes], IntegrationEvent], type[IntegrationEvent], tuple[Upcast, ...]]


class Decoders:
    """One decoder a contract, built at once: a class that cannot be decoded is a `ContractError` here.

    A wanted class is given as it is; an older one comes through the fewest upcasts that lead to a wanted class.
    """

    __slots__ = ("_codec", "_readings", "types")

    def __init__(self, codec: Codec, classes: Iterable[type[IntegrationEvent]]) -> None:
        wanted = frozenset(classes)
        chains = {**dict.fromkeys(wanted, ()), **registry.upcast_sources(wanted)}
        self._codec = codec
        self._readings: dict[tuple[str, int], _Reading] = {
            contract_of(cls): (codec.decoder(cls), cls, chain) for cls, chain in chains.items()
        }
        self.types: frozenset[str] = frozenset(type_name for type_name, _ in self._readings)

    def decode(self, type: str, version: int, body: bytes) -> IntegrationEvent:
        """The event in a body, or `UnknownContract`, `InvalidPayload`, `MalformedMessage`."""
        try:
            read, cls, chain = self._readings[type, version]
        except KeyError:
            raise UnknownContract(type, version, self._advice(type)) from None
        try:
            event = read(body)
        except (ValueError, RecursionError) as error:
            raise self._codec.failure(cls, body, error) from error
        return upcast(event, chain) if chain else event

    def _advice(self, type: str) -> str:
        versions = sorted(version for known, version in self._readings if known == type)
        return f"this consumer reads version {', '.join(map(str, versions))}" if versions else ""
