"""`events outbox relay` sends what waits in the outbox of a database, until a signal."""

import argparse
import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final

from events_core.errors import ConfigurationError, EventsError
from events_core.integration import open_bus
from events_core.outbox import OutboxRelay, RelayHealth, RelaySettings, open_store
from events_core.ports import check_seconds

__all__ = ["add_arguments", "run"]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_FAILED: Final = 1
_LAST_LOOK: Final = 1.0
"""Seconds that the last line of progress may take: whoever sent the signal is waiting."""
_DEFAULT: Final = RelaySettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What follows `events outbox relay`."""
    add = parser.add_argument
    add("--database", required=True, metavar="URL", help="where the outbox is, as in postgresql://user@host/shop")
    add("--bus", required=True, metavar="URL", help="where its events go, as in amqp://user@host/")
    add("--prefix", default="events_", help="what the names of its tables begin with (%(default)s)")
    add("--schema", metavar="NAME", help="where they are, if not in the default one")
    add("--listen", action="store_true", help="be woken by PostgreSQL, where the service notifies it")
    add("--batch", type=int, default=_DEFAULT.batch, help="events claimed at a time (%(default)s)")
    add("--poll", type=float, default=_DEFAULT.poll, metavar="S", help="seconds between looks when idle (%(default)g)")
    add(
        "--lease",
        type=float,
        default=_DEFAULT.lease,
        metavar="S",
        help="seconds a relay may hold a batch (%(default)g)",
    )
    add("--timeout", type=float, default=_DEFAULT.timeout, metavar="S", help="seconds a send may take (%(default)g)")
    add("--retention", type=float, default=0.0, metavar="S", help="seconds to keep sent events (%(default)g)")
    add("--deadline", type=float, default=30.0, metavar="S", help="seconds to finish in after a signal (%(default)g)")
    add("--progress", type=float, default=5.0, metavar="S", help="seconds between lines of progress (%(default)g)")


def run(arguments: argparse.Namespace) -> int:
    """Relay until SIGTERM or SIGINT, then finish the batch in hand; 1 if it could not begin."""
    try:
        asyncio.run(_relay(arguments))
    except EventsError as error:
        sys.stderr.write(f"events outbox relay: {error}\n")
        return _FAILED
    return 0


async def _relay(arguments: argparse.Namespace) -> None:
    settings = RelaySettings(
        batch=arguments.batch,
        poll=arguments.poll,
        lease=arguments.lease,
        timeout=arguments.timeout,
        retention=arguments.retention,
    )
    check_seconds(progress=arguments.progress)
    if arguments.deadline < 0:
        raise ConfigurationError(f"deadline is in seconds, from 0 on, not {arguments.deadline:g}")
    asked = _asked_to_stop()
    # What it sends was sealed by others, with their own source.
    bus = open_bus(arguments.bus, source="outbox-relay", connect="background")
    async with open_store(arguments.database, prefix=arguments.prefix, schema=arguments.schema) as store, bus:
        relay = OutboxRelay(store, bus, settings=settings, listen=arguments.listen)
        await relay.startup()
        try:
            await _show(relay, asked, arguments.progress)
        finally:
            await relay.shutdown(arguments.deadline)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_LOOK):
                _say(_line(await relay.health(), 0.0))


def _asked_to_stop() -> asyncio.Event:
    """Set by the first signal; a second one ends the process at once."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
        asked.set()

    for each in _SIGNALS:
        loop.add_signal_handler(each, stop)
    return asked


async def _show(relay: OutboxRelay, asked: asyncio.Event, every: float) -> None:
    """A line now and then, until asked to stop; also while the database does not answer."""
    showing = asyncio.create_task(_show_always(relay, every))
    stop = asyncio.create_task(asked.wait())
    await asyncio.wait([showing, stop], return_when=asyncio.FIRST_COMPLETED)
    for each in (showing, stop):
        each.cancel()
    with suppress(asyncio.CancelledError):
        await showing


async def _show_always(relay: OutboxRelay, every: float) -> None:
    before = 0
    while True:
        health = await relay.health()
        _say(_line(health, (health.sent - before) / every))
        before = health.sent
        await asyncio.sleep(every)


def _line(health: RelayHealth, rate: float) -> str:
    parts = [f"{health.sent:,} sent", f"{rate:,.0f}/s"]
    if health.backlog is None:
        parts.append("the database does not answer")
    else:
        parts.append(f"{health.backlog.waiting:,} waiting")
        parts += [f"oldest {health.oldest:.1f} s"] if health.oldest is not None else []
        parts += [f"{health.backlog.scheduled:,} scheduled"] if health.backlog.scheduled else []
        parts += [f"{health.backlog.parked:,} parked"] if health.backlog.parked else []
    parts += [health.trouble] if health.trouble else []
    return " · ".join(parts)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
