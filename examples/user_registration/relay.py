"""The relay, as a process of its own: `python -m examples.user_registration.relay --database ... --bus ...`."""

import argparse
import asyncio
import signal

from events_core import open_bus
from events_core.outbox import OutboxRelay, RelaySettings, open_store


async def relay(database: str, bus_url: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        open_store(database) as store,
        open_bus(bus_url, source="relay", connect="background") as bus,
        OutboxRelay(store, bus, settings=RelaySettings(retention=86_400.0)),
    ):
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.user_registration.relay", description=__doc__)
    parser.add_argument("--database", required=True, metavar="URL")
    parser.add_argument("--bus", required=True, metavar="URL")
    options = parser.parse_args()
    asyncio.run(relay(options.database, options.bus))


if __name__ == "__main__":
    main()
