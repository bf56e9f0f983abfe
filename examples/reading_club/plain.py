"""An evening of the club with plain functions. The events end up in a list, where one can look at them."""

from events_core import MessageBus
from events_core.domain import EventStream, RecordingSink
from examples.reading_club.adapters.memory import Library, MemoryClub
from examples.reading_club.domain.commands import RegisterBook, ReviewBook
from examples.reading_club.domain.errors import Refused
from examples.reading_club.newsletter import CLUB


def evening() -> tuple[Library, RecordingSink]:
    """Play it; what the club has afterwards, and what others were told."""
    library, sink = Library(), RecordingSink()
    club = MemoryClub(library, EventStream(sink, CLUB))
    bus = MessageBus()
    bus.scan("examples.reading_club.service")

    # Whoever opens the unit of work commits it: the bus joins.
    with club:
        bus.handle(RegisterBook(isbn="978-0", title="Emma"), club)
        print(f"registered, and not committed   {_told(sink)}")
        club.commit()
    print(f"committed                       {_told(sink)}")

    with club:
        bus.handle(RegisterBook(isbn="978-1", title="Persuasion"), club)
    print(f"left without commit             {_told(sink)}")

    # A unit that is not open, the bus opens and commits by itself.
    average = bus.handle(ReviewBook(isbn="978-0", reader="Ada", stars=4), club).first
    print(f"reviewed, {average:.1f} stars             {_told(sink)}")

    try:
        review_both(bus, club)
    except Refused as refusal:
        print(f"refused, all of it              {_told(sink)}: {refusal}")
    return library, sink


def review_both(bus: MessageBus, club: MemoryClub) -> None:
    """What is done together fails together: nobody knows the second book."""
    with club:
        bus.handle(ReviewBook(isbn="978-0", reader="Bob", stars=1), club)
        bus.handle(ReviewBook(isbn="978-1", reader="Bob", stars=5), club)
        club.commit()


def _told(sink: RecordingSink) -> str:
    return f"on the stream: {', '.join(type(each).__name__ for each in sink.events) or 'nothing'}"
