"""What members may do. The class says what they get back."""

from events_core import Command


class RegisterBook(Command):
    isbn: str
    title: str


class ReviewBook(Command[float]):
    """The answer is the average of all stars so far."""

    isbn: str
    reader: str
    stars: int
