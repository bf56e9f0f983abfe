"""Every error of the library. The branch says what the caller should do.

EventsError
├── ConfigurationError          fix the program; raised before anything is sent or received
│   ├── ContractError               a message class breaks the rules of its declaration
│   ├── DuplicateRegistration       a consumer is registered on this topic already
│   ├── UnsupportedCapability       this broker cannot keep what was asked for
│   ├── NoHandler                   nothing handles this message
│   ├── DuplicateHandler            a second handler where one is the rule
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
├── UnitOfWorkError             the transaction did not commit; nothing of it was kept
├── AfterCommitFailed           the transaction holds; what came after it failed, see `errors`
├── NotSent                     the transaction holds; see `unsent` for the events that did not leave
├── BatchFailed                 some messages of a batch failed; `outcomes` has all, in position
├── ConnectionLost              a feed ended; the bus subscribes anew by itself
├── SubscriptionNotEmpty        removing would lose events; force it, or handle them first
├── UnknownDeadLetter           no dead letter has this id
├── StoreUnavailable            the database of an outbox or inbox did not do it; try again later
└── HandlingError               a handler's outcome
    ├── HandlerTimeout              it ran longer than its registration allows
    ├── RolledBack                  raised by a middleware: what the handlers did is undone
    ├── AlreadyHandled              raised by an inbox: its effect is there; the bus accepts the delivery
    ├── RetryLater                  raised by handlers: again, after so many seconds
    └── Reject                      raised by handlers: a dead letter, now
"""

import math
from collections.abc import Collection
from typing import Any

__all__ = [
    "AccessRefused",
    "AfterCommitFailed",
    "AlreadyHandled",
    "BatchFailed",
    "BrokerSetupError",
    "BusClosed",
    "ConfigurationError",
    "ConnectionLost",
    "ContractError",
    "DuplicateHandler",
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
    "NoHandler",
    "NotConnected",
    "NotSent",
    "NotStarted",
    "OutcomeUnknown",
    "Reject",
    "RetryLater",
    "RolledBack",
    "SendError",
    "SendRejected",
    "StoreUnavailable",
    "SubscriptionNotEmpty",
    "TopologyMismatch",
    "UnitOfWorkError",
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


class NoHandler(ConfigurationError):
    """Nothing handles this message, and something has to."""


class DuplicateHandler(ConfigurationError):
    """A command has its one handler already, or an event this very handler."""


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


class UnitOfWorkError(EventsError):
    """The transaction did not commit: its blocks disagreed, or it was used outside of them."""


class AfterCommitFailed(EventsError):
    """The transaction has committed and holds; `errors` is what failed after it. Everything else was done."""

    def __init__(self, errors: Collection[Exception]) -> None:
        self.errors: tuple[Exception, ...] = tuple(errors)
        said = "; ".join(str(each) or type(each).__name__ for each in self.errors)
        super().__init__(f"the transaction is committed; after it failed: {said}")


class NotSent(EventsError):
    """Some events of a committed transaction did not leave. `unsent` holds topic, envelope and error of each, in order.

    Send them again as they are, with `send_envelopes`: nothing is counted twice. An outbox does so by itself.
    """

    def __init__(self, unsent: Collection[tuple[Any, Any, Exception]]) -> None:
        self.unsent: tuple[tuple[Any, Any, Exception], ...] = tuple(unsent)
        said = "; ".join(f"{envelope!r}: {error}" for _, envelope, error in self.unsent)
        super().__init__(f"{len(self.unsent)} events were not sent: {said}")


class BatchFailed(EventsError):
    """Some messages of a batch failed. `outcomes` holds results and errors, in the position of their messages."""

    def __init__(self, outcomes: Collection[object]) -> None:
        self.outcomes: tuple[object, ...] = tuple(outcomes)
        errors = [f"{place}: {each!r}" for place, each in enumerate(self.outcomes) if isinstance(each, Exception)]
        super().__init__(f"{len(errors)} of {len(self.outcomes)} messages failed; {'; '.join(errors)}")


class ConnectionLost(EventsError):
    """The connection under a feed is gone, and so is the feed."""


class SubscriptionNotEmpty(EventsError):
    """Removing the subscription would lose its backlog."""


class UnknownDeadLetter(EventsError):
    """No dead letter of this subscription has one of these ids."""

    def __init__(self, ids: Collection[str]) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        super().__init__(f"no dead letter here has the id {', '.join(self.ids)}; list() shows those there are")


class StoreUnavailable(EventsError):
    """The database of an outbox or inbox cannot be reached, or refused; what was asked of it may have been done."""


class HandlingError(EventsError):
    """How a handler ended, other than well."""


class HandlerTimeout(HandlingError):
    """A delivery was handled for longer than its registration's `timeout`."""


class RolledBack(HandlingError):
    """Raised by a middleware with a transaction around all handlers: those that ended well run again, too.

    `reason` is why it was rolled back, and what the bus decides by.
    """

    def __init__(self, reason: Exception) -> None:
        self.reason = reason
        super().__init__(f"rolled back: {reason!r}")


class AlreadyHandled(HandlingError):
    """An inbox has seen this delivery: what the handler does was done. The bus accepts the delivery."""


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
