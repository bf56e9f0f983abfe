"""Every error of the library. The branch says what the caller should do.

EventsError
├── ConfigurationError          fix the program; raised before anything is sent or received
│   ├── ContractError               a message class breaks the rules of its declaration
│   ├── DuplicateRegistration       a consumer is registered on this topic already
│   ├── UnsupportedCapability       this broker cannot keep what was asked for
│   ├── MissingExtra                the package of this broker is not installed (also an ImportError)
│   └── NotStarted                  the bus was used before `startup()`
├── BrokerSetupError            fix the broker; raised when the bus or a registration starts
│   ├── AccessRefused               it does not accept these credentials, or its certificate is not trusted
│   ├── UnsafeBroker                its settings may lose events that it confirmed
│   └── TopologyMismatch            an object on it has other properties than ours needs
├── MessageError                this message is bad; waiting does not cure it
│   ├── UnknownContract             no class here has this type and version
│   ├── InvalidPayload              the fields do not fit the contract
│   ├── InvalidHeaders              an attribute or header cannot travel
│   ├── MalformedMessage            the bytes are no event at all
│   └── KeyRequired                 an ordered registration needs a key
├── SendError                   carries `event_id`: send again with it, nothing is counted twice
│   ├── NotConnected                surely not sent
│   ├── EventTooLarge               surely not sent; make it smaller
│   ├── SendRejected                the broker said no; another subscription may have it
│   ├── OutcomeUnknown              it may have been stored
│   └── BusClosed                   surely not sent; the bus is shutting down
├── ConnectionLost              a feed ended; the bus subscribes anew by itself
├── SubscriptionNotEmpty        removing would lose events; force it, or handle them first
├── UnknownDeadLetter           no dead letter has this id
└── HandlingError               a handler's outcome
    ├── HandlerTimeout              it ran longer than its registration allows
    ├── RetryLater                  raised by handlers: again, after so many seconds
    └── Reject                      raised by handlers: a dead letter, now
"""

import math
from collections.abc import Collection

__all__ = [
    "AccessRefused",
    "BrokerSetupError",
    "BusClosed",
    "ConfigurationError",
    "ConnectionLost",
    "ContractError",
    "DuplicateRegistration",
    "EventTooLarge",
    "EventsError",
    "HandlerTimeout",
    "HandlingError",
    "InvalidHeaders",
    "InvalidPayload",
    "KeyRequired",
    "MalformedMessage",
    "MessageError",
    "MissingExtra",
    "NotConnected",
    "NotStarted",
    "OutcomeUnknown",
    "Reject",
    "RetryLater",
    "SendError",
    "SendRejected",
    "SubscriptionNotEmpty",
    "TopologyMismatch",
    "UnknownContract",
    "UnknownDeadLetter",
    "UnsafeBroker",
    "UnsupportedCapability",
]


class EventsError(Exception):
    """The root: everything this library raises on purpose."""


class ConfigurationError(EventsError):
    """The program asks for something impossible: fix the program."""


class ContractError(ConfigurationError):
    """A message class breaks the rules of its declaration."""


class DuplicateRegistration(ConfigurationError):
    """This process has registered this consumer on this topic already."""


class UnsupportedCapability(ConfigurationError):
    """The broker cannot keep what was asked for."""


class MissingExtra(ConfigurationError, ImportError):
    """The package of this broker is not installed."""


class NotStarted(ConfigurationError):
    """The bus was used before `startup()`."""


class BrokerSetupError(EventsError):
    """The broker is set up in a way that cannot be worked with: fix the broker."""


class AccessRefused(BrokerSetupError):
    """Broker and process do not accept each other: credentials, permissions or certificates are wrong."""


class UnsafeBroker(BrokerSetupError):
    """The broker's settings may lose events that it confirmed."""


class TopologyMismatch(BrokerSetupError):
    """An object on the broker has other properties than this library needs."""


class MessageError(EventsError):
    """This message is bad, and waiting does not cure it."""


class UnknownContract(MessageError):
    """No class here has this type and version."""

    def __init__(self, type: str, version: int, advice: str = "") -> None:
        self.type = type
        self.version = version
        super().__init__(f"no class is known for {type!r} version {version}{advice and '; '}{advice}")


class InvalidPayload(MessageError):
    """The fields of a payload do not fit the contract."""

    def __init__(self, contract: str, field: str, reason: str) -> None:
        self.contract = contract
        self.field = field
        self.reason = reason
        super().__init__(f"{contract}.{field}: {reason}" if field else f"{contract}: {reason}")


class InvalidHeaders(MessageError):
    """An attribute or header cannot travel on every broker."""


class MalformedMessage(MessageError):
    """The bytes are no event at all."""


class KeyRequired(MessageError):
    """The event has no key, and an ordered registration of its topic needs one."""


class SendError(EventsError):
    """An event was not sent, or perhaps not. `event_id` is its id: sending again with it is safe."""

    def __init__(self, message: str, *, event_id: str | None = None) -> None:
        self.event_id = event_id
        super().__init__(message)


class NotConnected(SendError):
    """There was no connection to the broker: surely not sent."""


class EventTooLarge(SendError):
    """The encoded event exceeds the limit that all brokers share: surely not sent."""


class SendRejected(SendError):
    """The broker refused the event. A subscription that has room may have got it."""


class OutcomeUnknown(SendError):
    """No answer in time, or the connection broke while waiting for it: the event may have been stored."""


class BusClosed(SendError):
    """The bus is shutting down or shut down: surely not sent."""


class ConnectionLost(EventsError):
    """The connection under a feed is gone, and so is the feed."""


class SubscriptionNotEmpty(EventsError):
    """Removing the subscription would lose its backlog."""


class UnknownDeadLetter(EventsError):
    """No dead letter of this subscription has one of these ids."""

    def __init__(self, ids: Collection[str]) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        super().__init__(f"no dead letter here has the id {', '.join(self.ids)}; list() shows those there are")


class HandlingError(EventsError):
    """How a handler ended, other than well."""


class HandlerTimeout(HandlingError):
    """A delivery was handled for longer than its registration's `timeout`."""


class RetryLater(HandlingError):
    """Raised by a handler: try again after `after` seconds, rounded up to a step of the ladder."""

    def __init__(self, after: float, reason: str = "the handler asked for a later retry") -> None:
        if not math.isfinite(after):
            raise ConfigurationError(f"RetryLater takes a finite number of seconds, not {after}")
        self.after = after
        super().__init__(reason)


class Reject(HandlingError):
    """Raised by a handler: waiting cannot cure this event, keep it as a dead letter with this reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
