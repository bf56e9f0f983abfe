"""The same evening with coroutines. The events leave for another service, which writes a newsletter."""

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from events_core import AsyncMessageBus, InMemoryEventBus, Registration
from events_core.domain import EventStream
from events_core.integration import BusSink
from examples.reading_club.adapters.memory import AsyncMemoryClub, Library
from examples.reading_club.domain.commands import RegisterBook, ReviewBook
from examples.reading_club.domain.errors import Refused
from examples.reading_club.newsletter import CLUB, make_newsletter


async def evening() -> tuple[Library, list[str]]:
    """Play it; what the club has afterwards, and what the newsletter wrote."""
    send, receive = anyio.create_memory_object_stream[str](10)
    newsletter = Registration(make_newsletter(send), CLUB)
    async with send, receive, InMemoryEventBus(source="reading-club", registrations=[newsletter]) as events:
        library = Library()
        club = AsyncMemoryClub(library, EventStream(BusSink(events), CLUB))
        await meet(club)
        letters = [await _next(receive) for _ in range(2)]
    return library, letters


async def meet(club: AsyncMemoryClub) -> None:
    """What the members do."""
    bus = AsyncMessageBus()
    bus.scan("examples.reading_club.service")

    async with club:
        await bus.handle(RegisterBook(isbn="978-0", title="Emma"), club)
        await club.commit()

    async with club:
        await bus.handle(RegisterBook(isbn="978-1", title="Persuasion"), club)

    await bus.handle(ReviewBook(isbn="978-0", reader="Ada", stars=4), club)

    try:
        await review_both(bus, club)
    except Refused as refusal:
        print(f"refused: {refusal}")


async def review_both(bus: AsyncMessageBus, club: AsyncMemoryClub) -> None:
    """What is done together fails together: nobody knows the second book."""
    async with club:
        await bus.handle(ReviewBook(isbn="978-0", reader="Bob", stars=1), club)
        await bus.handle(ReviewBook(isbn="978-1", reader="Bob", stars=5), club)
        await club.commit()


async def _next(letters: MemoryObjectReceiveStream[str]) -> str:
    with anyio.fail_after(10):
        letter = await letters.receive()
    print(f"newsletter: {letter}")
    return letter
