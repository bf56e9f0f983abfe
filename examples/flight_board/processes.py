"""Every service as a process of its own, and one consumer is killed on the way, as the kernel or a crash would do it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final, Self

from rich.console import Console

from events_core import DeadLetter, open_bus
from examples.flight_board.airport import CONSUMERS, Airport
from examples.flight_board.plan import YEAR, Plan
from examples.flight_board.service import SENDER

ROOT: Final = Path(__file__).parents[2]
LOOK_AGAIN: Final = 0.1  # seconds
AT_ONCE: Final = 0.005  # seconds: a consumer handles two or three events meanwhile


class ServiceEnded(Exception):
    """A service's process ended by itself, or not as it should; what it said is on standard error."""


class Services:
    """The processes of one run, by the name of their service."""

    def __init__(self, console: Console, airport: Airport, plan: Plan, url: str) -> None:
        self._console = console
        self._processes: dict[str, Process] = {}
        self._arguments = ["--bus", url, "--folder", str(airport.folder), "--run", airport.run]
        self._arguments += ["--seed", str(airport.seed), *(["--full"] if plan is YEAR else [])]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Leave nothing running, whatever happened."""
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def start(self, name: str) -> None:
        """Start one."""
        command = [sys.executable, "-m", "examples.flight_board.service", name, *self._arguments]
        self._processes[name] = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
        self.say("started", name)

    async def ready(self, name: str) -> None:
        """Wait until a consumer says that it is ready."""
        process = self._processes[name]
        assert process.stdout is not None  # noqa: S101 it was asked for above
        if not await process.stdout.readline():
            raise ServiceEnded(f"{name} ended before it was ready")

    async def kill(self, name: str) -> None:
        """SIGKILL: it can neither finish what it does nor say goodbye."""
        self._processes[name].kill()
        await self._processes[name].wait()

    async def stop(self, name: str) -> None:
        """SIGTERM: it drains, and ends."""
        self._processes[name].terminate()
        if code := await self._processes[name].wait():
            raise ServiceEnded(f"{name} ended with {code} when it was asked to stop")

    def has_ended(self, name: str) -> bool:
        """Whether it ended well; `ServiceEnded` if it ended otherwise."""
        code = self._processes[name].returncode
        if code:
            raise ServiceEnded(f"{name} ended with {code}")
        return code is not None

    async def until(self, done: Callable[[], bool], look_again: float = LOOK_AGAIN) -> None:
        """Wait, as long as all of them are well."""
        while not done():
            for name in self._processes:
                if self.has_ended(name) and name != SENDER:
                    raise ServiceEnded(f"{name} ended, and nobody asked it to")
            await asyncio.sleep(look_again)

    def say(self, what: str, name: str, more: str = "") -> None:
        """Tell the terminal what became of a service."""
        pid = self._processes[name].pid
        self._console.print(f"{what:<10} {name:<16} pid {pid:<8} {more}".rstrip(), highlight=False)


async def play(console: Console, airport: Airport, plan: Plan, url: str) -> dict[str, list[DeadLetter]]:
    """Run the services until each event is through at each consumer, and return the consumers' dead letters."""
    async with Services(console, airport, plan, url) as services:
        await asyncio.gather(*map(services.start, CONSUMERS))
        await asyncio.gather(*map(services.ready, CONSUMERS))
        await services.start(SENDER)
        await _kill_one(services, airport, plan)
        await services.until(lambda: services.has_ended(SENDER))
        services.say("finished", SENDER, f"{airport.sent_log.counts.total():,} events sent")
        await services.until(lambda: airport.is_through)
        for name in CONSUMERS:
            await services.stop(name)
            books = airport.service(name).books
            services.say("stopped", name, f"{books.handled:,} events handled, {books.duplicates} duplicates recognised")
    async with open_bus(url, source="flight-board") as bus:
        return await airport.dead_letters(bus)


async def _kill_one(services: Services, airport: Airport, plan: Plan) -> None:
    random = Random(f"the kill of {airport.seed}")
    victim, count = random.choice(CONSUMERS), random.choice(plan.kill_after)
    books = airport.service(victim).books
    await services.until(lambda: books.handled >= count, AT_ONCE)
    await services.kill(victim)
    services.say("killed", victim, f"after {books.handled:,} events")
    await services.start(victim)
    await services.ready(victim)
