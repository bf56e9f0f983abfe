"""An evening of a reading club, twice: `python -m examples.reading_club`. The exit status is 1 if one went wrong."""

import sys

import anyio

from examples.reading_club import plain, waiting
from examples.reading_club.adapters.memory import Library
from examples.reading_club.domain.events import BookRegistered, BookReviewed


def main() -> int:
    """Play the evening with plain functions, then with coroutines."""
    print("With plain functions")
    library, sink = plain.evening()
    plain_is_right = is_right(library) and [type(each) for each in sink.events] == [BookRegistered, BookReviewed]

    print("\nWith coroutines, and another service that listens")
    library, letters = anyio.run(waiting.evening)
    waiting_is_right = is_right(library) and sorted(letters) == [
        "Ada gave 4 of 5 stars to 978-0",
        "New in the club: Emma",
    ]

    right = plain_is_right and waiting_is_right
    print("\nBoth evenings OK." if right else "\nAn evening went wrong.")
    return 0 if right else 1


def is_right(library: Library) -> bool:
    """Whether exactly what was committed is there."""
    stars = {book.title: book.stars for book in library.books.values()}
    return stars == {"Emma": {"Ada": 4}} and not library.reading_list


if __name__ == "__main__":
    sys.exit(main())
