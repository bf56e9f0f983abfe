"""Somebody in a room: a consumer that passes on to one screen what happens there."""

from datetime import UTC, datetime
from secrets import token_hex

import msgspec

from events_core import Consumer, Context, IntegrationEvent
from examples.online_chat.events import Joined, Left, Said
from examples.online_chat.mailbox import Mailbox


class Person(Consumer):
    """One connection. Its name as a consumer is its own, so that everybody gets every event of the room.

    Args:
        name: As people see it.
        room: Where.
        mailbox: What leads to the screen.
        id: Of the connection; random, unless it is given.
    """

    events = (Joined, Said, Left)

    def __init__(self, name: str, room: str, mailbox: Mailbox, *, id: str | None = None) -> None:
        self.id = id or token_hex(8)
        self.name = f"person-{self.id}"
        self.called = name
        self.room = room
        self._mailbox = mailbox

    async def on_event(self, event: IntegrationEvent, context: Context) -> None:
        """Never waits: one slow screen would otherwise hold up its own queue and nobody would notice."""
        at = context.time or datetime.now(UTC)
        self.tell({**event.to_dict(), "id": context.id, "at": at.isoformat()})

    def tell(self, message: dict[str, object]) -> None:
        """Show something on the screen."""
        self._mailbox.put(msgspec.json.encode(message).decode())
