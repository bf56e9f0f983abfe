"""The feed of a durable subscription: a member of its group that holds a lease."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from time import monotonic
from typing import Final, NamedTuple, cast

import msgspec

from events_core.errors import ConnectionLost, EventsError, MalformedMessage, NotConnected
from events_core.messages import JsonCodec
from events_core.ports import Delivery, Settled, Settlement, Subscription, Verdict, Wire
from events_redis import scripts
from events_redis.errors import translated
from events_redis.keys import Keys
from events_redis.line import Line, Reply
from events_redis.reader import Reader
from events_redis.wire import encode, read

__all__ = ["EventFeed", "Token", "write"]

_TICK: Final = 1.0
"""Seconds after which a feed looks for dead members, and for retries that nobody else moved."""
_STEP: Final = 4 * 1024 * 1024
"""Bytes of bodies that are moved at once."""
_ANSWERS: Final = (Settled.LOST, Settled.DONE, Settled.AGAIN)


class Token(NamedTuple):
    """Where an entry is: in which of a subscription's keys, counted from one."""

    key: int
    id: str


class EventFeed:
    """Reads for its group, and keeps its lease; without it others take what it holds."""

    def __init__(
        self, line: Line, keys: Keys, subscription: Subscription, lease: float, ended: Callable[["EventFeed"], None]
    ) -> None:
        self.keys: Final = keys
        self.member: Final = token_hex(8)
        self.has_left: bool = False
        self._line = line
        self._subscription = subscription
        self._lease = lease
        self._tick = min(_TICK, lease / 3)
        self._report = ended
        self._reader = Reader(line, self._read, self._on_end)
        self._order = (keys.retry, keys.topic)
        self._crowded = False
        self._withdrawn = False
        self._held: set[Delivery] = set()
        self._renewed = 0.0
        self._bell = asyncio.Event()
        self._room = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._codec = JsonCodec()

    async def open(self) -> None:
        """Connect, with `NotConnected` or `AccessRefused`."""
        await self._reader.open()

    async def join(self, start: str, gone: Sequence[str]) -> bool:
        """Join the group, and take over from the members that are gone; whether it had been deleted.

        Raises:
            EventsError: `NotConnected`, or what Redis says.
        """
        self._renewed = monotonic()
        made_anew = await self._run(scripts.JOIN, start, *sorted(self._subscription.types))
        self._keeper = asyncio.create_task(self._keep(await self._tend(*gone)))
        return bool(made_anew)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._reader.stopped:
            self._check()
            self._room.clear()
            if room := min(limit, self._subscription.window - len(self._held)):
                deliveries = await self._reader.bring(room)
                self._check()
                self._held.update(deliveries)
                if deliveries:
                    return deliveries
            else:
                await self._room.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Settle in one step what is still held."""
        self._check()
        ours = [each for each in batch if each.delivery in self._held]
        try:
            results = await self._write(ours)
        except (NotConnected, ConnectionLost) as error:
            self.end(str(error))
            raise ConnectionLost(str(error)) from error
        except EventsError:
            results = {each.delivery: Settled.AGAIN for each in ours}
        except BaseException:
            self.end("a settlement was cancelled")
            raise
        self._held.difference_update(each for each, result in results.items() if result is not Settled.AGAIN)
        self._room.set()
        await self._finish()
        return [results.get(each.delivery, Settled.LOST) for each in batch]

    async def lag(self) -> int | None:
        """What is in the streams, was not handed out and is wanted, as far as a look at the next ones tells."""
        return int(await self._line.run(scripts.LAG, self.keys, self._subscription.consumer))

    async def stop(self) -> None:
        """Read no more, and give back what was not handed out."""
        if self._reader.stopped or self._reader.lost is not None:
            return
        self._room.set()
        try:
            deliveries = await self._reader.stop()
            await self._write([Settlement(each, Verdict.RELEASE) for each in deliveries])
            self._withdrawn = True
            await self._finish()
        except EventsError as error:
            self.end(str(error))
        except BaseException:
            self.end("stopping was cancelled")
            raise

    def end(self, reason: str) -> None:
        """Nothing is held any more: others take it over."""
        self._reader.end(reason)

    async def leave(self) -> None:
        """End the lease, and hand back what is pending. Raises what Redis says."""
        await self._line.run(scripts.TEND, self.keys, self._subscription.consumer, self.member, 0)

    def _on_end(self) -> None:
        self._held.clear()
        self._room.set()
        if self._keeper is not None:
            self._keeper.cancel()
        self._report(self)

    def _check(self) -> None:
        if monotonic() - self._renewed > self._lease:
            self.end(f"no sign of life for {self._lease:g} s: the lease was lost")
        self._reader.check()

    async def _read(self, line: Line, count: int, block: int) -> list[Delivery]:
        """Both streams at once; where both are full, one after the other, as `count` is meant for each."""
        streams = self._order[:1] if self._crowded else self._order
        waiting = () if self._crowded else ("BLOCK", block)
        member = (self._subscription.consumer, self.member)
        targets = (*streams, *(">" for _ in streams))
        reply = await line.ask("XREADGROUP", "GROUP", *member, "COUNT", count, *waiting, "STREAMS", *targets)
        self._crowded = len(reply or ()) == len(streams)
        self._order = self._order[::-1] if self._crowded else (self.keys.retry, self.keys.topic)
        deliveries = await self._wanted([each for stream in reply or () for each in self._deliveries(*stream)])
        await self._write([Settlement(each, Verdict.RELEASE) for each in deliveries[count:]])
        return deliveries[:count]

    def _deliveries(self, stream: bytes, entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[Delivery]:
        topic, lane = self._subscription.topic.name, self.keys.topic
        key = 1 + self.keys.index(stream.decode())
        found: list[Delivery] = []
        for entry, fields in entries:
            id_ = entry.decode()
            message = read(id_, fields)
            found.append(
                Delivery(message.wire, f"{topic}/{message.origin}", message.returns + 1, lane, Token(key, id_))
            )
        return found

    async def _wanted(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Without those of a type that the subscription, whoever asks for it elsewhere, does not want."""
        wanted = self._subscription.types
        strange = {each: type_ for each in deliveries if (type_ := self._type_of(each.wire)) not in wanted and type_}
        if not strange:
            return deliveries
        types = sorted(set(strange.values()))
        answers = await self._line.ask("SMISMEMBER", self.keys.types, *types)
        unwanted = {type_ for type_, answer in zip(types, answers, strict=True) if not answer}
        passed = [each for each, type_ in strange.items() if type_ in unwanted]
        await self._write([Settlement(each, Verdict.ACCEPT) for each in passed])
        return [each for each in deliveries if strange.get(each) not in unwanted]

    def _type_of(self, wire: Wire) -> str | None:
        if (named := wire.headers.get("type")) is not None:
            return named
        with suppress(MalformedMessage):
            return self._codec.peek(wire.body)[0]
        return None

    async def _write(self, batch: Sequence[Settlement]) -> Mapping[Delivery, Settled]:
        results = await write(self._line, self.keys, self._subscription.consumer, self.member, batch)
        if any(each.delay for each in batch):
            self._bell.set()
        return results

    async def _finish(self) -> None:
        if self._withdrawn and not self._held and self._reader.lost is None:
            try:
                with suppress(EventsError):
                    await self.leave()
                    self.has_left = True
            finally:
                self.end("the feed was stopped")

    async def _keep(self, pause: float) -> None:
        """Renew the lease and look around, as often as needed."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._bell.wait()
            self._bell.clear()
            try:
                async with translated(self._lease):
                    pause = await self._tend()
            except NotConnected as error:
                if monotonic() - self._renewed > self._lease:
                    self.end(str(error))
                pause = self._tick
            except EventsError as error:
                self.end(str(error))

    async def _tend(self, *gone: str) -> float:
        """Seconds until there is something to do."""
        began = monotonic()
        reply = await self._run(scripts.TEND, *gone)
        if not reply:
            raise ConnectionLost("the lease ran out: others take over what was held")
        self._renewed = began
        due = cast("int", reply[0]) / 1_000_000
        return self._tick if due < 0 else min(self._tick, due)

    async def _run(self, script: scripts.Script, *arguments: str) -> Reply:
        lease = math.ceil(self._lease * 1000)
        return await self._line.run(script, self.keys, self._subscription.consumer, self.member, lease, *arguments)


async def write(
    line: Line, keys: Keys, group: str, member: str, batch: Sequence[Settlement]
) -> Mapping[Delivery, Settled]:
    """Settle what is held by this member, or is a dead letter. Raises what Redis says."""
    results: dict[Delivery, Settled] = {}
    for part in _parts(batch):
        rows: list[tuple[int | str, ...]] = []
        copies: list[str | bytes] = []
        for each in part:
            copy = _copy_of(each)
            delay = math.ceil(each.delay * 1_000_000)
            rows.append((*cast("Token", each.delivery.token), each.verdict.value, delay, len(copies) + 4, len(copy)))
            copies += copy
        answers = await line.run(scripts.SETTLE, keys, group, member, msgspec.msgpack.encode(rows), *copies)
        results |= {each.delivery: _ANSWERS[answer] for each, answer in zip(part, answers, strict=True)}
    return results


def _parts(batch: Sequence[Settlement]) -> Iterator[Sequence[Settlement]]:
    """Whatever moves large events takes its time, and nobody is answered meanwhile."""
    start = size = 0
    for end, each in enumerate(batch, 1):
        size += len(each.delivery.wire.body) if each.verdict is not Verdict.ACCEPT else 0
        if size >= _STEP or end == len(batch):
            yield batch[start:end]
            start, size = end, 0


def _copy_of(settlement: Settlement) -> Sequence[str | bytes]:
    """The fields of the entry that a retry or dead letter becomes; else none."""
    if settlement.verdict is Verdict.ACCEPT or settlement.verdict is Verdict.RELEASE:
        return ()
    delivery = settlement.delivery
    headers = delivery.wire.headers if settlement.headers is None else settlement.headers
    return encode(Wire(headers, delivery.wire.body), delivery.origin.rpartition("/")[2])
