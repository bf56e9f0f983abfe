"""A book as the club sees it."""

from dataclasses import dataclass, field
from statistics import fmean
from typing import Final, Self

from events_core import AggregateRoot
from examples.reading_club.domain.errors import WrongStars
from examples.reading_club.domain.events import BookRegistered, BookReviewed

MOST_STARS: Final = 5


@dataclass(eq=False)
class Book(AggregateRoot):
    isbn: str
    title: str
    stars: dict[str, int] = field(default_factory=dict[str, int])
    """By reader: whoever reviews again has changed their mind."""

    @classmethod
    def register(cls, isbn: str, title: str) -> Self:
        book = cls(isbn, title)
        book.publish_event(BookRegistered(isbn=isbn, title=title))
        return book

    def review(self, reader: str, stars: int) -> float:
        """Take in a review; the average of all."""
        if not 1 <= stars <= MOST_STARS:
            raise WrongStars(stars)
        self.stars[reader] = stars
        self.publish_event(BookReviewed(isbn=self.isbn, reader=reader, stars=stars))
        return fmean(self.stars.values())
