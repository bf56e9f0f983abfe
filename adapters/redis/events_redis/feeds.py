"""The feed of a durable subscription: a member of its group that holds a lease."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
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
from events_redis.reader import BLOCK_MS, Ongoing, Reader
from events_redis.wire import encode, read

__all__ = ["EventFeed", "copy_of"]

_TICK: Final = 1.0
"""Seconds after which a feed looks for dead members, and for retries that nobody else moved."""
_MOST: Final = 1_000
"""Settlements in a script: Lua passes on at most some thousand arguments."""


class Token(NamedTuple):
    """Where an entry is: in the first stream of a subscription's keys or the second."""

    stream: int
    id: str


class EventFeed:
    """Reads for its group, and keeps its lease; without it others take what it holds."""

    def __init__(
        self, line: Line, keys: Keys, subscription: Subscription, lease: float, ended: Callable[["EventFeed"], None]
    ) -> None:
        self.keys: Final = keys
        self.member: Final = token_hex(8)
        self._line = line
        self._subscription = subscription
        self._lease = lease
        self._report = ended
        self._reader = Reader(line, lease)
        self._reading = Ongoing(self._read)
        self._order = (keys.retry, keys.topic)
        self._crowded = False
        self._held: set[Delivery] = set()
        self._settling = 0
        self._renewed = 0.0
        self._bell = asyncio.Event()
        self._room = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._codec = JsonCodec()
        self._stopped = False
        self._lost: str | None = None
        self.has_left: bool = False

    async def open(self, start: str, gone: Sequence[str]) -> bool:
        """Join the group, and take over from the members that are gone; whether it had been deleted.

        Raises:
            EventsError: `NotConnected`, or what Redis says.
        """
        await self._reader.open()
        self._renewed = monotonic()
        types = sorted(self._subscription.types)
        identity: tuple[str | int, ...] = (self.keys.group, self.member, self._milliseconds)
        made_anew = await self._line.run(scripts.JOIN, self.keys.all, *identity, start, *types)
        self._keeper = asyncio.create_task(self._keep(await self._tend(*gone)))
        return bool(made_anew)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one event, or the end."""
        while not self._stopped:
            self._check()
            self._room.clear()
            if room := min(limit, self._subscription.window - len(self._held)):
                if deliveries := await self._bring(room):
                    return deliveries
            else:
                await self._room.wait()
        return ()

    async def settle(self, batch: Sequence[Settlement]) -> Sequence[Settled]:
        """Settle in one step what is still held."""
        self._check()
        ours = [each for each in batch if each.delivery in self._held]
        self._held.difference_update(each.delivery for each in ours)
        self._settling += 1
        try:
            results = await self._write(ours)
        except (NotConnected, ConnectionLost) as error:
            self.end(str(error))
            raise ConnectionLost(str(error)) from error
        except EventsError:
            self._held.update(each.delivery for each in ours)
            results = dict.fromkeys((each.delivery for each in ours), Settled.AGAIN)
        finally:
            self._settling -= 1
            self._room.set()
        await self._finish()
        return [results.get(each.delivery, Settled.LOST) for each in batch]

    async def lag(self) -> int | None:
        """What is in the streams and was not handed out."""
        return int(await self._line.run(scripts.LAG, self.keys.all, self.keys.group))

    async def stop(self) -> None:
        """Read no more, and give back what was not handed out."""
        if self._stopped or self._lost is not None:
            return
        self._stopped = True
        self._room.set()
        try:
            deliveries = await self._reading.withdraw(self._reader.interrupt)
            await self._write([Settlement(each, Verdict.RELEASE) for each in deliveries])
        except EventsError as error:
            self.end(str(error))
        else:
            await self._finish()

    def end(self, reason: str) -> None:
        """Nothing is held any more: others take it over."""
        if self._lost is None:
            self._lost = reason
            self._held.clear()
            self._reading.cancel()
            self._reader.close()
            self._room.set()
            if self._keeper is not None:
                self._keeper.cancel()
            self._report(self)

    async def leave(self) -> None:
        """End the lease, and hand back what is pending. Raises what Redis says."""
        await self._line.run(scripts.TEND, self.keys.all, self.keys.group, self.member, 0)

    @property
    def _milliseconds(self) -> int:
        return math.ceil(self._lease * 1000)

    def _check(self) -> None:
        if self._lost is None and monotonic() - self._renewed > self._lease:
            self.end(f"no sign of life for {self._lease:g} s: the lease was lost")
        if self._lost is not None:
            raise ConnectionLost(self._lost)

    async def _bring(self, room: int) -> Sequence[Delivery]:
        try:
            deliveries = await self._reading.bring(room)
        except EventsError as error:
            self.end(str(error))
            raise ConnectionLost(str(error)) from error
        self._check()
        self._held.update(deliveries)
        return deliveries

    async def _read(self, count: int) -> Sequence[Delivery]:
        """Both streams at once; where both are full, one after the other, as `count` is meant for each."""
        streams = self._order[:1] if self._crowded else self._order
        options = ("COUNT", count) if self._crowded else ("COUNT", count, "BLOCK", BLOCK_MS)
        targets = (*streams, *(">" for _ in streams))
        reply = await self._reader.ask(
            "XREADGROUP", "GROUP", self.keys.group, self.member, *options, "STREAMS", *targets
        )
        self._crowded = bool(reply) and len(reply) == len(streams) if self._crowded else len(reply or ()) > 1
        self._order = self._order[::-1] if self._crowded else (self.keys.retry, self.keys.topic)
        deliveries = await self._wanted([each for stream in reply or () for each in self._deliveries(*stream)])
        if len(deliveries) > count:
            await self._write([Settlement(each, Verdict.RELEASE) for each in deliveries[count:]])
        return deliveries[:count]

    def _deliveries(self, stream: bytes, entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[Delivery]:
        topic, lane = self._subscription.topic.name, self.keys.topic
        number = 1 if stream == self.keys.topic.encode() else 2
        found: list[Delivery] = []
        for entry, fields in entries:
            id_ = entry.decode()
            message = read(id_, fields)
            token = Token(number, id_)
            found.append(Delivery(message.wire, f"{topic}/{message.origin}", message.returns + 1, lane, token))
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
        results: dict[Delivery, Settled] = {}
        for start in range(0, len(batch), _MOST):
            part = batch[start : start + _MOST]
            rows: list[tuple[str | int, ...]] = []
            copies: list[str | bytes] = []
            for each in part:
                stream, id_ = cast("Token", each.delivery.token)
                copy = copy_of(each)
                delay = math.ceil(each.delay * 1_000_000)
                rows.append((stream, id_, each.verdict.value, delay, len(copies) + 4, len(copy)))
                copies += copy
            arguments = (self.keys.group, self.member, msgspec.msgpack.encode(rows), *copies)
            held = await self._line.run(scripts.SETTLE, self.keys.all, *arguments)
            for settlement, was_held in zip(part, held, strict=True):
                results[settlement.delivery] = Settled.DONE if was_held else Settled.LOST
        delays = [each.delay for each in batch if each.verdict is Verdict.RETRY]
        if delays and 0 < min(delays) < _TICK:
            asyncio.get_running_loop().call_later(min(delays), self._bell.set)
        return results

    async def _finish(self) -> None:
        if self._stopped and not self._held and not self._settling and self._lost is None:
            with suppress(EventsError):
                await self.leave()
                self.has_left = True
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

    @property
    def _tick(self) -> float:
        return min(_TICK, self._lease / 3)

    async def _tend(self, *gone: str) -> float:
        """Seconds until there is something to do."""
        began = monotonic()
        identity: tuple[str | int, ...] = (self.keys.group, self.member, self._milliseconds)
        reply: Reply = await self._line.run(scripts.TEND, self.keys.all, *identity, *gone)
        if not reply:
            raise ConnectionLost("the lease ran out: others take over what was held")
        self._renewed = began
        due = cast("int", reply[0]) / 1_000_000
        return self._tick if due < 0 else min(self._tick, due)


def copy_of(settlement: Settlement) -> Sequence[str | bytes]:
    """The fields of the entry that a retry or dead letter becomes; else none."""
    if settlement.verdict not in {Verdict.RETRY, Verdict.DEAD_LETTER}:
        return ()
    delivery = settlement.delivery
    headers = delivery.wire.headers if settlement.headers is None else settlement.headers
    return encode(Wire(headers, delivery.wire.body), delivery.origin.rpartition("/")[2])
