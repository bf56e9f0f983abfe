"""From a unit of work straight to the integration event bus."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Final

from events_core.errors import NotSent
from events_core.integration.bus import IntegrationEventBus
from events_core.messages import Envelope
from events_core.ports import Outgoing, Topic

__all__ = ["BusSink"]

_Sealed = tuple[Topic, Envelope]


class BusSink:
    """Sends the events of a unit of work once it has committed, in order.

    They are encoded before the commit: one that cannot travel fails the unit. A process that dies between the commit
    and the send loses them: where that matters, give the stream an outbox instead.

    `timeout` is in seconds, for each event.
    """

    def __init__(self, bus: IntegrationEventBus, *, timeout: float = 10.0) -> None:
        self._bus: Final = bus
        self._timeout: Final = timeout

    def stage(self, outgoing: Sequence[Outgoing]) -> Callable[[], Awaitable[None]]:
        """Seal them; what is returned sends all of them, and raises `NotSent` for those that did not leave."""
        sealed = [(each.topic, self._bus.seal(each.event, key=each.key, headers=each.headers)) for each in outgoing]

        async def send() -> None:
            await self._send(sealed)

        return send

    async def _send(self, sealed: Sequence[_Sealed]) -> None:
        unsent: list[tuple[Topic, Envelope, Exception]] = []
        for topic, group in groupby(sealed, key=_topic):
            envelopes = [envelope for _, envelope in group]
            answers = await self._answers(topic, envelopes)
            unsent.extend(
                (topic, envelope, answer)
                for envelope, answer in zip(envelopes, answers, strict=True)
                if answer is not None
            )
        if unsent:
            raise NotSent(unsent)

    async def _answers(self, topic: Topic, envelopes: Sequence[Envelope]) -> Sequence[Exception | None]:
        try:
            return await self._bus.send_envelopes(topic, envelopes, timeout=self._timeout)
        except Exception as error:  # noqa: BLE001 a bus that cannot send at all answers for each
            return [error] * len(envelopes)


def _topic(sealed: _Sealed) -> Topic:
    return sealed[0]
