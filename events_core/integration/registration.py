"""What an application registers: a consumer on a topic, and how it wants its deliveries."""

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from events_core.errors import ConfigurationError, UnsupportedCapability
from events_core.integration.consumers import Consumer, check_consumer_name, handlers_of
from events_core.integration.context import Middleware
from events_core.integration.retry import RetryPolicy
from events_core.messages import IntegrationEvent
from events_core.ports import Capabilities, Topic

__all__ = ["Registration"]

_HANDLER_NAMES_BYTES = 4 * 1024


@dataclass(frozen=True, slots=True)
class Registration:
    """A consumer on a topic.

    | option | meaning | unit | default |
    |---|---|---|---|
    | `events` | the event classes it wants | | what the consumer handles |
    | `concurrency` | deliveries handled at the same time, in this process | deliveries | 10 |
    | `prefetch` | deliveries held at the most, those being handled included | deliveries | 100 |
    | `timeout` | how long one delivery may be handled; then it counts as failed | seconds | 300 |
    | `retry` | the ladder of delays, and what is given up at once | | 1 s, 5 s, 30 s, 2 min, 10 min |
    | `max_deliveries` | after so many deliveries that ended with the process it is a crash loop | deliveries | 10 |
    | `start` | where a new subscription begins: "latest", or "earliest" where the broker keeps the past | | "latest" |
    | `broadcast` | every process gets its own copy, from now on, stored nowhere | | False |
    | `ordered` | events of one key are handled in order, one at a time | | False |
    | `middleware` | stands around the handlers, the first outermost | | none |
    """

    consumer: Consumer
    topic: Topic
    _: KW_ONLY
    events: Iterable[type[IntegrationEvent]] | None = None
    concurrency: int = 10
    prefetch: int = 100
    timeout: float = 300.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_deliveries: int = 10
    start: Literal["latest", "earliest"] = "latest"
    broadcast: bool = False
    ordered: bool = False
    middleware: tuple[Middleware, ...] = ()

    def __post_init__(self) -> None:
        check_consumer_name(getattr(self.consumer, "name", None))
        object.__setattr__(self, "events", tuple(self.consumer.events if self.events is None else self.events))
        if not self.events:
            raise ConfigurationError(f"{self.consumer.name} names no events; give it handlers, or events=(...)")
        self._check_numbers()
        self._check_handlers()

    @property
    def name(self) -> str:
        """As it is called in logs, in health and on brokers."""
        return f"{self.consumer.name}.{self.topic.name}"

    @property
    def event_types(self) -> tuple[type[IntegrationEvent], ...]:
        """The classes it wants."""
        return tuple(self.events or ())

    def check(self, capabilities: Capabilities) -> None:
        """Refuse what this broker cannot keep, with `UnsupportedCapability`."""
        if self.ordered:
            raise UnsupportedCapability(f"{self.name}: ordered=True cannot be kept on this broker yet; leave it out")
        if self.start == "earliest" and not capabilities.earliest:
            raise UnsupportedCapability(f'{self.name}: this broker keeps no past; leave start="latest"')
        if not self.broadcast and not capabilities.durable:
            raise UnsupportedCapability(f"{self.name}: this broker stores nothing; register with broadcast=True")
        limit = capabilities.hold_limit
        if limit is not None and self.timeout > limit and not self.broadcast:
            raise UnsupportedCapability(
                f"{self.name}: this broker takes back what is held for {limit} s; lower timeout"
            )

    def _check_numbers(self) -> None:
        if not 1 <= self.concurrency <= self.prefetch:
            raise ConfigurationError(f"{self.name}: concurrency is at least 1 and at most prefetch ({self.prefetch})")
        if self.timeout <= 0:
            raise ConfigurationError(f"{self.name}: timeout is in seconds, above 0")
        if self.max_deliveries < 1:
            raise ConfigurationError(f"{self.name}: max_deliveries is at least 1")
        if self.start not in {"latest", "earliest"}:
            raise ConfigurationError(f'{self.name}: start is "latest" or "earliest", not {self.start!r}')

    def _check_handlers(self) -> None:
        for event_type in self.event_types:
            handlers = handlers_of(self.consumer, event_type)
            if not handlers:
                raise ConfigurationError(f"{self.consumer.name} has no handler for {event_type.__name__}")
            if sum(len(each.name.encode()) + 1 for each in handlers) > _HANDLER_NAMES_BYTES:
                raise ConfigurationError(f"{self.consumer.name}: too many handlers for {event_type.__name__}; split it")
