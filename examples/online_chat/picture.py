"""The chat with three people in two rooms, to be drawn: `events topology examples.online_chat.picture:bus`."""

from typing import Final

from events_core import InMemoryEventBus
from examples.online_chat.chat import registration_of
from examples.online_chat.mailbox import Mailbox
from examples.online_chat.person import Person

PRESENT: Final = (("Ada", "tea-room"), ("Ben", "tea-room"), ("Cleo", "library"))


def bus() -> InMemoryEventBus:
    """What a server's bus looks like while these people are there."""
    people = [Person(name, room, Mailbox(), id=name.lower()) for name, room in PRESENT]
    return InMemoryEventBus(source="online-chat", registrations=map(registration_of, people))
