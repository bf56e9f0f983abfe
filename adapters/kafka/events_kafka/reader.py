"""A member of a consumer group: reads what is assigned to it, and commits what is settled."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from aiokafka.errors import CommitFailedError, IllegalStateError  # type: ignore[import-untyped]

from events_core.errors import EventsError
from events_kafka.assignor import Assignor
from events_kafka.clients import Clients, check, rejoin
from events_kafka.errors import translated
from events_kafka.inbox import Inbox
from events_kafka.lane import Lane, State
from events_kafka.library import Consumer, Listener, Partition, Record, partition_of
from events_kafka.link import Link

__all__ = ["Assignment", "Reader"]

_LOOK: Final = 0.25
_COMMIT_EVERY: Final = 0.15
_SOON: Final = 0.2
_GLANCE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a reader is for."""

    group: str
    topics: Mapping[str, float]
    """And how many seconds each lets its records wait."""
    drain: float
    """Seconds that a rebalance waits for what is held."""
    wanted: Callable[[Collection[Record]], Awaitable[Collection[Record]]]
    """Which of them the subscription wants."""
    revoking: Callable[[frozenset[Partition]], None]
    gone: Callable[[str], None]
    """Told of a topic that was deleted, and may have been made again."""


class Reader:
    """Reads into an inbox as far as it has room. What it reads is noted with the group before it is handed out.

    A rebalance takes all lanes away and assigns anew. Those that come back before anybody else used them go on as they
    were, with what is held of them.
    """

    def __init__(self, clients: Clients, link: Link, inbox: Inbox, assignment: Assignment) -> None:
        self._clients = clients
        self._link = link
        self._inbox = inbox
        self._assignment = assignment
        self._owner = token_hex(8)
        self._assignor = Assignor()
        self._consumer: Consumer = clients.consumer(assignment.group, assignors=(self._assignor,))
        self._lanes: dict[Partition, Lane] = {}
        self._suspended: dict[Partition, Lane] = {}
        self._assigned: frozenset[Partition] | None = None
        self._epoch = 0
        self._loaded = -1
        self._committing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None

    async def open(self) -> None:
        """Join the group. Others may have to drain first: then it goes on in the background."""
        await self._clients.start(self._consumer)
        listener = Listener(self._on_revoked, self._on_assigned)
        self._consumer.subscribe(list(self._assignment.topics), listener=listener)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._guarded(work)) for work in (self._read, self._commit_often)]
        await self._until(lambda: self._loaded >= 0, self._clients.timeout)
        if self._failure is not None:
            raise self._failure

    async def leave(self) -> None:
        """Leave the group when nothing is held any more, or all is lost; nothing is charged that was given back.

        Where that takes longer, the lanes that nothing is held of go to other members before.
        """
        await self._until(lambda: not self._inbox.held, _SOON)
        if self._inbox.held:
            self._assignor.leaving = True
            rejoin(self._consumer)
            await self._until(lambda: not self._inbox.held, None)
        await self._until(lambda: self._loaded == self._epoch, self._clients.timeout)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
        await self._try_to_commit(self._lanes.values())
        await self._clients.end(self._consumer)

    async def commit(self) -> None:
        """Have what is settled committed now, if that is possible."""
        await self._try_to_commit([lane for lane in self._lanes.values() if lane.dirty], reserve=self._reserve)

    def read_again(self, lane: Lane) -> None:
        """Something of this lane was given back."""
        if self._lanes.get(lane.partition) is lane:
            self._consumer.seek(lane.partition, lane.rewind())

    async def lag(self, topics: Iterable[str]) -> int:
        """How many records of these topics could be handed out, here or elsewhere, and are not."""
        partitions = self._partitions(topics)
        async with translated(self._clients.timeout):
            ends = await self._consumer.end_offsets(partitions)
        committed = await self._link.committed(self._assignment.group)
        total = 0
        for partition, end in ends.items():
            if (lane := self._lanes.get(partition)) is not None:
                total += max(0, end - lane.to) + lane.unread
            elif partition in committed:
                total += max(0, end - State(committed[partition]).to)
        return total

    async def _until(self, condition: Callable[[], bool], seconds: float | None) -> None:
        """Wait for it, for so long, or until all is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (condition() or self._inbox.lost):
                    await self._inbox.changed(_GLANCE)

    def _partitions(self, topics: Iterable[str]) -> list[Partition]:
        return [
            partition_of(topic, number)
            for topic in topics
            for number in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with translated(None):
                while not self._inbox.lost:
                    await work()
        except EventsError as error:
            self._failure = error
            self._inbox.end(str(error))

    async def _read(self) -> None:
        if self._loaded != self._epoch:
            await self._load()
        hungry = [lane for lane in self._lanes.values() if not lane.waiting]
        room, due_in = self._inbox.room, self._due_in()
        if room <= 0 or not hungry:
            # A member may be ended by an error, and nobody else looks.
            check(self._consumer)
            await self._inbox.changed(min(_LOOK, due_in) if room > 0 else _LOOK)
        else:
            wait = round(min(_LOOK, due_in) * 1000)
            found = await self._consumer.getmany(
                *(lane.partition for lane in hungry), timeout_ms=wait, max_records=room
            )
            for partition, records in found.items():
                self._let_wait(partition, records)
        await self._hand_out()

    def _let_wait(self, partition: Partition, records: Sequence[Record]) -> None:
        if (lane := self._lanes.get(partition)) is None:
            return
        if lane.begins_anew(records[0]):
            self._inbox.forget(lane)
            lane = self._lanes[partition] = self._lane(partition, State((records[0].offset, "")))
            self._inbox.lanes.add(lane)
            self._assignment.gone(partition.topic)
        for record in records:
            lane.wait(record)

    def _due_in(self) -> float:
        now = time.time()
        return max(0.0, min((lane.waiting[0][0] - now for lane in self._lanes.values() if lane.waiting), default=_LOOK))

    async def _load(self) -> None:
        epoch, assigned = self._epoch, self._assigned
        if assigned is None:
            check(self._consumer)
            await self._inbox.changed(_LOOK)
            return
        committed = await self._link.committed(self._assignment.group)
        states = {each: State(found) for each, found in committed.items() if each in assigned}
        for partition in assigned - states.keys():
            async with translated(self._clients.timeout):
                states[partition] = State((await self._consumer.position(partition), ""))
        if epoch != self._epoch:
            return
        for topic in {each.topic for each in self._suspended if not self._consumer.partitions_for_topic(each.topic)}:
            self._assignment.gone(topic)
        self._lanes = {partition: self._lane(partition, state) for partition, state in states.items()}
        for lane in self._suspended.values():
            self._inbox.forget(lane)
        self._suspended = {}
        self._inbox.lanes |= {*self._lanes.values()}
        for lane in self._lanes.values():
            self._consumer.seek(lane.partition, lane.rewind())
        self._loaded = epoch
        self._inbox.ring()

    def _lane(self, partition: Partition, state: State) -> Lane:
        old = self._suspended.get(partition)
        if old is not None and state.owner == self._owner:
            return self._suspended.pop(partition)
        return Lane(partition, self._owner, state, delay=self._assignment.topics[partition.topic])

    async def _hand_out(self) -> None:
        epoch, batch = self._epoch, self._due()
        if not batch:
            return
        wanted = await self._assignment.wanted([record for _, record in batch])
        if epoch != self._epoch:
            return
        taken, unnoted = self._take(batch, {id(record) for record in wanted})
        if taken and self._inbox.window == 1:
            # Whoever ends the process next is charged alone: what was settled before it is not.
            unnoted |= {lane for lane in self._lanes.values() if lane.dirty}
        noted = not unnoted or await self._commit(unnoted, reserve=self._reserve)
        for lane, record, starts in taken:
            if noted and epoch == self._epoch and not self._inbox.stopped:
                self._inbox.put(lane, record, starts)
            else:
                lane.release(record.offset)
        self._inbox.ring()

    def _due(self) -> list[tuple[Lane, Record]]:
        """What waited long enough, as far as there is room."""
        now, room = time.time(), self._inbox.room
        batch: list[tuple[Lane, Record]] = []
        for lane in self._lanes.values():
            while lane.waiting and len(batch) < room and lane.waiting[0][0] <= now:
                batch.append((lane, lane.waiting.popleft()[1]))
        return batch

    @property
    def _reserve(self) -> int:
        """With a window of one exactly what is handed out is charged."""
        return self._inbox.window if self._inbox.window > 1 else 0

    def _take(
        self, batch: list[tuple[Lane, Record]], wanted: Collection[int]
    ) -> tuple[list[tuple[Lane, Record, int]], set[Lane]]:
        taken: list[tuple[Lane, Record, int]] = []
        unnoted: set[Lane] = set()
        for lane, record in batch:
            if id(record) not in wanted:
                lane.skip(record.offset)
                continue
            if not lane.is_noted(record.offset):
                unnoted.add(lane)
            taken.append((lane, record, lane.take(record.offset)))
        return taken, unnoted

    async def _commit_often(self) -> None:
        if dirty := [lane for lane in self._lanes.values() if lane.dirty]:
            await self._commit(dirty, reserve=self._reserve)
            await asyncio.sleep(_COMMIT_EVERY)
        else:
            await self._inbox.changed(_LOOK)

    async def _commit(self, lanes: Iterable[Lane], *, reserve: int) -> bool:
        """False where they are no longer ours."""
        async with self._committing:
            lanes = [each for each in lanes if each in self._inbox.lanes]
            notes = {lane.partition: lane.note(reserve) for lane in lanes}
            if not notes:
                return True
            try:
                await self._clients.commit(self._consumer, notes)
            except (CommitFailedError, IllegalStateError):
                for lane in lanes:
                    lane.dirty = True
                return False
            for lane in lanes:
                lane.noted()
            return True

    async def _try_to_commit(self, lanes: Iterable[Lane], *, reserve: int = 0) -> None:
        """In vain where all is lost meanwhile: then nobody waits for it."""

        async def commit() -> None:
            with suppress(EventsError):
                await self._commit(lanes, reserve=reserve)

        committing = asyncio.get_running_loop().create_task(commit())
        committing.add_done_callback(lambda _: self._inbox.ring())
        await self._until(committing.done, self._clients.timeout)

    async def _on_revoked(self, revoked: frozenset[Partition]) -> None:
        self._epoch += 1
        self._assigned = None
        lanes, self._lanes = self._lanes, {}
        self._suspended |= lanes
        if lanes and not self._inbox.lost:
            self._inbox.withdraw(lanes.values())
            self._assignment.revoking(frozenset(lanes))
            await self._until(lambda: not any(lane.held for lane in lanes.values()), self._assignment.drain)
            await self._try_to_commit(lanes.values())
        # Another rebalance may have begun before the lanes of the last one were loaded.
        ours = [lane for partition, lane in self._suspended.items() if partition in revoked]
        self._assignor.keeping = [lane.partition for lane in ours if lane.held or lane.dirty]

    def _on_assigned(self, assigned: frozenset[Partition]) -> None:
        self._epoch += 1
        self._assigned = assigned
        self._inbox.ring()
