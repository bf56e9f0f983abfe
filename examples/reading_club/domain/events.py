"""What happens in the club."""

from events_core import DomainEvent, IntegrationEvent


class BookRegistered(DomainEvent, published=True, key="isbn"):
    """The club itself reacts to it, in the same transaction. Others hear of it as well, after the commit."""

    type = "reading_club.book_registered"
    version = 1
    isbn: str
    title: str


class BookReviewed(IntegrationEvent, key="isbn"):
    """Only others want to know: nobody handles it here."""

    type = "reading_club.book_reviewed"
    version = 1
    isbn: str
    reader: str
    stars: int
