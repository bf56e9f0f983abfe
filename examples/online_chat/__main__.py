"""Show the chat at work: `python -m examples.online_chat`, and with `--serve` keep it running for browsers.

Starts a Redis, unless `--bus` names one, and two servers on it.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Final

from rich.console import Console

from examples.online_chat.play import NotAsItShould, play
from examples.online_chat.servers import ServerEnded, Servers

IN_MEMORY: Final = "memory://"


def main() -> int:
    """Run the program; 0 if everybody saw what was meant for them and nothing else, 1 if not."""
    # Whoever ends this program by SIGTERM ends what it has started, too, as with Ctrl-C; also where a shell started it
    # in the background, which ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    with bus(console, options.bus) as url:
        try:
            asyncio.run(show(console, url, port=options.port, stay=options.serve))
        except (NotAsItShould, ServerEnded) as error:
            console.print(f"NOT OK: {error}", markup=False)
            return 1
        except TimeoutError:
            console.print("NOT OK: somebody did not see in time what was meant for them.")
            return 1
        except KeyboardInterrupt:
            console.print("Stopped.")
            return 0 if options.serve else 130
    return 0


async def show(console: Console, url: str, *, port: int, stay: bool) -> None:
    """Start the servers, play the play, and with `stay` go on until somebody stops it."""
    async with Servers(url) as servers:
        # What is in the memory of one process is in no other.
        count = 1 if url.startswith(IN_MEMORY) else 2
        urls = [await servers.start(port and port + number) for number in range(count)]
        for number, each in enumerate(urls, 1):
            console.print(f"server {number}   {each}", soft_wrap=True)
        await play(console, urls)
        try:
            if stay:
                console.print("Open the pages in browsers, and talk. Ctrl-C ends it.")
                for each, name in zip((urls[0], urls[-1]), ("Ada", "Ben"), strict=True):
                    console.print(f"  {each}/?room=lobby&name={name}", soft_wrap=True)
                await servers.wait()
        finally:
            await servers.stop()
        console.print("OK: the servers drained and ended.")


@contextmanager
def bus(console: Console, url: str | None) -> Generator[str]:
    """The bus at this URL, or on a Redis that is there for the block; in memory where none can be had."""
    if url is not None:
        yield url
        return
    from brokers import BrokerUnavailable, open_broker  # slow, and with a Redis of one's own not needed

    with ExitStack() as running:
        try:
            broker = running.enter_context(open_broker("redis"))
        except BrokerUnavailable as error:
            console.print(f"{error}\nWithout Redis: one server, with its rooms in memory.", markup=False)
            yield IN_MEMORY
        else:
            console.print(f"Redis      {broker.url}", soft_wrap=True)
            yield broker.url.replace("redis://", "redis+pubsub://", 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.online_chat", description=__doc__)
    parser.add_argument("--bus", metavar="URL", help="run on this, as redis+pubsub://localhost or memory://")
    parser.add_argument("--serve", action="store_true", help="keep running for people with browsers, until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="of the first server; the second has the next (any free)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
