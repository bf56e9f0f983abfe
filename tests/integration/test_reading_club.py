"""The reading club: what is kept, and what others hear of it."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from events_core import AsyncMessageBus, MessageBus
from events_core.domain import EventStream, RecordingSink
from events_core.testing import RecordingBus
from examples.reading_club import waiting
from examples.reading_club.__main__ import is_right
from examples.reading_club.adapters.memory import AsyncMemoryClub, Library, MemoryClub
from examples.reading_club.domain.commands import RegisterBook, ReviewBook
from examples.reading_club.domain.errors import AlreadyRegistered, UnknownBook, WrongStars
from examples.reading_club.domain.events import BookRegistered, BookReviewed
from examples.reading_club.newsletter import CLUB, NewBook

ROOT: Final = Path(__file__).parents[2]
HANDLERS: Final = "examples.reading_club.service"
EMMA: Final = RegisterBook(isbn="978-0", title="Emma")
PERSUASION: Final = RegisterBook(isbn="978-1", title="Persuasion")


@pytest.fixture
def bus() -> MessageBus:
    bus = MessageBus(strict=True)
    bus.scan(HANDLERS)
    return bus


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def club(library: Library, sink: RecordingSink) -> MemoryClub:
    return MemoryClub(library, EventStream(sink, CLUB))


def review(stars: int, reader: str = "Ada") -> ReviewBook:
    return ReviewBook(isbn="978-0", reader=reader, stars=stars)


def test_a_registered_book_is_on_the_stream_only_after_the_commit(
    bus: MessageBus, club: MemoryClub, sink: RecordingSink
) -> None:
    with club:
        bus.handle(EMMA, club)
        assert sink.events == []
        club.commit()
    assert sink.events == [BookRegistered(isbn="978-0", title="Emma")]


def test_nothing_is_on_the_stream_after_a_rollback(
    bus: MessageBus, club: MemoryClub, library: Library, sink: RecordingSink
) -> None:
    with club:
        bus.handle(EMMA, club)
    assert (library, sink.events) == (Library(), [])


def test_the_club_itself_reacts_in_the_same_transaction(bus: MessageBus, club: MemoryClub, library: Library) -> None:
    with club:
        bus.handle(EMMA, club)
        assert club.reading_list == {"978-0"}
        assert library.reading_list == set()
        club.commit()
    assert library.reading_list == {"978-0"}


def test_a_review_leaves_the_reading_list_and_is_only_for_others(
    bus: MessageBus, club: MemoryClub, library: Library, sink: RecordingSink
) -> None:
    bus.handle(EMMA, club)
    results = bus.handle(review(4), club)
    assert [type(each.message) for each in results.outcomes] == [ReviewBook]
    assert library.reading_list == set()
    assert sink.events[1:] == [BookReviewed(isbn="978-0", reader="Ada", stars=4)]


def test_the_answer_to_a_review_is_the_average(bus: MessageBus, club: MemoryClub) -> None:
    bus.handle(EMMA, club)
    bus.handle(review(1, "Ada"), club)
    assert bus.handle(review(4, "Bob"), club).first == 2.5
    assert bus.handle(review(5, "Ada"), club).first == 4.5


def test_what_is_refused_changes_nothing_and_tells_nobody(
    bus: MessageBus, club: MemoryClub, library: Library, sink: RecordingSink
) -> None:
    with pytest.raises(UnknownBook):
        bus.handle(review(4), club)
    bus.handle(EMMA, club)
    with pytest.raises(AlreadyRegistered):
        bus.handle(EMMA, club)
    with pytest.raises(WrongStars):
        bus.handle(review(6), club)
    assert [book.stars for book in library.books.values()] == [{}]
    assert library.reading_list == {"978-0"}
    assert [type(each) for each in sink.events] == [BookRegistered]


def test_events_leave_in_the_order_in_which_they_were_raised(
    bus: MessageBus, club: MemoryClub, sink: RecordingSink
) -> None:
    with club:
        bus.handle(EMMA, club)
        bus.handle(review(4), club)
        bus.handle(PERSUASION, club)
        club.commit()
    assert [type(each) for each in sink.events] == [BookRegistered, BookReviewed, BookRegistered]


def test_registering_emits_one_event(bus: MessageBus, club: MemoryClub) -> None:
    recording = RecordingBus(bus)
    recording.handle(EMMA, club)
    assert recording.emitted == [BookRegistered(isbn="978-0", title="Emma")]


def test_others_read_a_published_event_by_its_contract() -> None:
    assert NewBook.from_dict(BookRegistered(isbn="978-0", title="Emma").to_dict()) == NewBook(title="Emma")


@pytest.mark.anyio
async def test_the_same_handlers_serve_coroutines(library: Library, sink: RecordingSink) -> None:
    bus = AsyncMessageBus(strict=True)
    bus.scan(HANDLERS)
    club = AsyncMemoryClub(library, EventStream(sink, CLUB))
    async with club:
        await bus.handle(EMMA, club)
        assert sink.events == []
        await club.commit()
    async with club:
        await bus.handle(PERSUASION, club)
    assert sink.events == [BookRegistered(isbn="978-0", title="Emma")]
    assert list(library.books) == ["978-0"]


@pytest.mark.anyio
async def test_another_service_hears_of_exactly_what_was_committed() -> None:
    library, letters = await waiting.evening()
    assert is_right(library)
    assert sorted(letters) == ["Ada gave 4 of 5 stars to 978-0", "New in the club: Emma"]


def test_both_evenings_run_and_are_right() -> None:
    command = [sys.executable, "-m", "examples.reading_club"]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "registered, and not committed   on the stream: nothing\n" in played.stdout
    assert played.stdout.endswith("Both evenings OK.\n")
