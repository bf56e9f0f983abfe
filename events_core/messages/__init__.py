"""Messages, their contracts, and how they travel."""

from events_core.messages.codec import Codec, JsonCodec
from events_core.messages.contracts import Contract, Kind, Upcast
from events_core.messages.decoders import Decoders
from events_core.messages.envelope import Envelope, Sealer, check_envelope, from_headers, key_of, to_headers
from events_core.messages.headers import BUS_PREFIX, CLOUDEVENTS_ATTRIBUTES, check_attribute, check_headers
from events_core.messages.message import Command, DomainEvent, IntegrationEvent, Message

__all__ = [
    "BUS_PREFIX",
    "CLOUDEVENTS_ATTRIBUTES",
    "Codec",
    "Command",
    "Contract",
    "Decoders",
    "DomainEvent",
    "Envelope",
    "IntegrationEvent",
    "JsonCodec",
    "Kind",
    "Message",
    "Sealer",
    "Upcast",
    "check_attribute",
    "check_envelope",
    "check_headers",
    "from_headers",
    "key_of",
    "to_headers",
]
