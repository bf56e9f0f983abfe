"""Another service: it writes to readers about books. It knows the club by what the club publishes, and nothing else."""

from anyio.abc import ObjectSendStream

from events_core import EventHandlerConsumer, IntegrationEvent, Topic
from examples.reading_club.domain.events import BookReviewed

CLUB = Topic("reading-club")


class NewBook(IntegrationEvent):
    """How the newsletter reads `BookRegistered` of the club: by its type and version, and only what it needs."""

    type = "reading_club.book_registered"
    version = 1
    title: str


async def announce(event: NewBook, letters: ObjectSendStream[str]) -> None:
    await letters.send(f"New in the club: {event.title}")


async def quote(event: BookReviewed, letters: ObjectSendStream[str]) -> None:
    await letters.send(f"{event.reader} gave {event.stars} of 5 stars to {event.isbn}")


def make_newsletter(letters: ObjectSendStream[str]) -> EventHandlerConsumer:
    """The consumer; what it writes goes to `letters`."""
    return EventHandlerConsumer(
        "newsletter", {NewBook: [announce], BookReviewed: [quote]}, dependencies={"letters": letters}
    )
