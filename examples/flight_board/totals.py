"""Nothing lost, nothing counted twice: the books are kept outside the consumers and closed against what was sent."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from events_core import Consumer, Context, IntegrationEvent, Registration, RetryPolicy
from examples.flight_board.events import FLIGHTS

QUICK_RETRY = RetryPolicy(delays=(0.2, 0.5))
"""Seconds, so short that the demo stays quick. Real dependencies deserve minutes."""


class Tally:
    """A middleware around one consumer: it lets every event through once, and counts.

    A bus delivers at least once. An event that was handled before is recognised by its id and takes no effect again.
    Ids end in a running number, so one bit an event is enough: 50 KiB for the 410,000 events of a year. (A service whose
    effects outlive the process would remember the ids in its database, in the transaction of the effect.)
    """

    def __init__(self, run: str, *, attempts: int) -> None:
        self.handled = 0
        self.given_up = 0
        self.retries = 0
        self.duplicates = 0
        self._run = run
        self._attempts = attempts
        self._seen = bytearray()
        self._changed = asyncio.Event()

    async def __call__(
        self,
        event: IntegrationEvent,
        context: Context,
        call: Callable[[], Awaitable[None]],
    ) -> None:
        """Handle the event, unless it was handled already or is left over on the broker from an earlier run."""
        if not self.is_ours(context.id):
            return
        if self.has_handled(context.id):
            self.duplicates += 1
            return
        try:
            await call()
        except Exception:
            self._count_failure(context.attempt)
            raise
        self._count_success(context.id)

    def is_ours(self, event_id: str) -> bool:
        """Whether the event was sent in this run."""
        return event_id.startswith(f"{self._run}.")

    def has_handled(self, event_id: str) -> bool:
        """Whether the event with this id took its effect."""
        byte, bit = divmod(_number(event_id), 8)
        return byte < len(self._seen) and bool(self._seen[byte] >> bit & 1)

    async def until(self, events: int) -> None:
        """Wait until so many events are through: handled, or failed for the last time."""
        while self.handled + self.given_up < events:
            self._changed.clear()
            await self._changed.wait()

    def _count_success(self, event_id: str) -> None:
        if self.has_handled(event_id):
            return  # two runs of it overlapped: one event all the same, and two effects, which will show
        byte, bit = divmod(_number(event_id), 8)
        self._seen.extend(bytes(max(0, byte + 1 - len(self._seen))))
        self._seen[byte] |= 1 << bit
        self.handled += 1
        self._changed.set()

    def _count_failure(self, attempt: int) -> None:
        if attempt < self._attempts:
            self.retries += 1
        else:
            self.given_up += 1
            self._changed.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One consumer's closed books. `effects` is what the consumer itself says it did, counted apart from the tally."""

    consumer: str
    sent: int
    handled: int
    dead: int
    effects: int
    retries: int = 0
    duplicates: int = 0

    @property
    def matches(self) -> bool:
        """Every event sent was handled or is a dead letter, and every one handled took effect exactly once."""
        return self.sent == self.handled + self.dead and self.effects == self.handled


class Books:
    """One consumer, how it is registered, and what it has to account for in this run."""

    def __init__(
        self, consumer: Consumer, effects: Callable[[], int], *, run: str, retry: RetryPolicy = QUICK_RETRY
    ) -> None:
        self.tally = Tally(run, attempts=1 + len(retry.delays))
        self.consumer = consumer.name
        self.registration = Registration(consumer, FLIGHTS, retry=retry, middleware=(self.tally,))
        self._types = [event.type for event in consumer.events]
        self._effects = effects

    def expected(self, sent: Mapping[str, int]) -> int:
        """How many of the events sent so far, counted by type, this consumer is to see."""
        return sum(sent.get(name, 0) for name in self._types)

    def close(self, sent: Mapping[str, int], dead_letters: Collection[str]) -> Account:
        """Draw the line. `dead_letters` are the ids of this consumer's dead letters."""
        return Account(
            consumer=self.consumer,
            sent=self.expected(sent),
            handled=self.tally.handled,
            dead=sum(1 for event_id in set(dead_letters) if not self.tally.has_handled(event_id)),
            effects=self._effects(),
            retries=self.tally.retries,
            duplicates=self.tally.duplicates,
        )


def _number(event_id: str) -> int:
    return int(event_id.rpartition(".")[2])
