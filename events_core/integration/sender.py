"""Sending: group commit a topic, a bounded number in flight, a typed answer to each in time."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from events_core.clock import Clock
from events_core.errors import BusClosed, EventsError, EventTooLarge, NotConnected, OutcomeUnknown, SendError
from events_core.integration.backoff import Backoff
from events_core.integration.deadlines import Deadlines
from events_core.integration.group_commit import GroupCommit
from events_core.integration.tasks import Spawn
from events_core.ports import MAX_EVENT_BYTES, Topic, Transport, Wire

__all__ = ["Sender"]

_IN_FLIGHT: Final = 5_000
"""Sends that wait for the broker at the same time; more wait for their turn, within their own time."""


class _Pending:
    """One send, until it is answered."""

    __slots__ = ("answer", "event_id", "given", "wire")

    def __init__(self, wire: Wire, answer: "asyncio.Future[None]") -> None:
        self.wire = wire
        self.event_id = wire.headers["id"]
        self.answer = answer
        self.given = False
        """Handed to the transport: from now on only its answer tells whether it is stored."""

    def expire(self) -> None:
        if self.given:
            self.fail(OutcomeUnknown("no answer in time; send again with the same id"))
        else:
            self.fail(NotConnected("no connection in time; nothing was sent"))

    def fail(self, error: EventsError) -> None:
        if self.answer.done():
            return
        if isinstance(error, SendError):
            error.event_id = self.event_id
        self.answer.set_exception(error)

    def store(self) -> None:
        if not self.answer.done():
            self.answer.set_result(None)


class Sender:
    """Sends wires over a transport. No topic waits for another."""

    __slots__ = ("_clock", "_closed", "_deadlines", "_pending", "_queue", "_spawn", "_topics", "_transport")

    def __init__(self, transport: Transport, *, clock: Clock, deadlines: Deadlines, spawn: Spawn) -> None:
        self._transport = transport
        self._clock = clock
        self._deadlines = deadlines
        self._spawn = spawn
        self._topics: dict[str, GroupCommit[_Pending]] = {}
        self._pending: set[_Pending] = set()
        self._queue: deque[tuple[Topic, _Pending]] = deque()
        self._closed = False

    async def send(self, topic: Topic, wire: Wire, timeout: float) -> None:
        """Return when it is durably stored; else raise a `SendError` within `timeout` seconds."""
        answer = asyncio.get_running_loop().create_future()
        pending = _Pending(wire, answer)
        if self._closed:
            raise BusClosed("the bus is shut down; nothing was sent", event_id=pending.event_id)
        if len(wire.body) > MAX_EVENT_BYTES:
            message = f"the event takes {len(wire.body)} bytes, more than {MAX_EVENT_BYTES}; send a reference instead"
            raise EventTooLarge(message, event_id=pending.event_id)
        self._deadlines.watch(pending, timeout)
        self._admit(topic, pending)
        try:
            await answer
        finally:
            self._deadlines.forget(pending)
            self._leave(pending)

    async def finish(self, seconds: float) -> None:
        """Return when every send is answered, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while waiting := [each.answer for each in self._pending]:
                    await asyncio.wait(waiting)
                    await asyncio.sleep(0)  # lets the senders take their answers

    def close(self) -> None:
        """Answer what still waits: it may have been stored if it was given to the broker."""
        self._closed = True
        for pending in [*self._pending, *(pending for _, pending in self._queue)]:
            if pending.given:
                pending.fail(OutcomeUnknown("the bus was shut down before an answer; send again with the same id"))
            else:
                pending.fail(BusClosed("the bus was shut down; nothing was sent"))

    def _admit(self, topic: Topic, pending: _Pending) -> None:
        if len(self._pending) >= _IN_FLIGHT:
            self._queue.append((topic, pending))
            return
        self._pending.add(pending)
        lane = self._topics.get(topic.name) or self._lane(topic)
        lane.add(pending)

    def _leave(self, pending: _Pending) -> None:
        self._pending.discard(pending)
        while self._queue and len(self._pending) < _IN_FLIGHT:
            topic, waiting = self._queue.popleft()
            if not waiting.answer.done():
                self._admit(topic, waiting)

    def _lane(self, topic: Topic) -> GroupCommit[_Pending]:
        backoff = Backoff(self._clock)

        async def write(batch: Sequence[_Pending]) -> Sequence[_Pending]:
            return await self._write(topic, batch, backoff)

        def forget() -> None:
            # Topics may come and go by the thousand.
            del self._topics[topic.name]

        lane = self._topics[topic.name] = GroupCommit(write, spawn=self._spawn, on_idle=forget)
        return lane

    async def _write(self, topic: Topic, batch: Sequence[_Pending], backoff: Backoff) -> Sequence[_Pending]:
        batch = [pending for pending in batch if not pending.answer.done()]
        for pending in batch:
            pending.given = True
        results = await self._publish(topic, [pending.wire for pending in batch]) if batch else ()
        again: list[_Pending] = []
        for pending, result in zip(batch, results, strict=True):
            if result is None:
                pending.store()
            elif isinstance(result, NotConnected):
                pending.given = False
                again.append(pending)
            else:
                pending.fail(result)
        if again:
            await backoff.wait()
        else:
            backoff.reset()
        return again

    async def _publish(self, topic: Topic, wires: Sequence[Wire]) -> Sequence[EventsError | None]:
        try:
            return await self._transport.publish(topic, wires)
        except Exception as error:  # noqa: BLE001 a broken adapter must not leave senders without an answer
            unknown = OutcomeUnknown(f"the transport failed: {type(error).__name__}")
            unknown.__cause__ = error
            return [unknown] * len(wires)
