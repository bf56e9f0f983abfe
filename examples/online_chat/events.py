"""What happens in a room. Every server sends these, and every server hands them to the people in the room."""

from events_core import IntegrationEvent, Topic

ROOM_NAME = r"^[a-z0-9-]{1,40}$"


class RoomEvent(IntegrationEvent, abstract=True):
    """What all three have in common. `person` is one connection, as two people may have one name."""

    person: str
    name: str


class Joined(RoomEvent, key="person"):
    type = "chat.joined"
    version = 1


class Said(RoomEvent, key="person"):
    type = "chat.said"
    version = 1
    text: str


class Left(RoomEvent, key="person"):
    type = "chat.left"
    version = 1


def topic_of(room: str) -> Topic:
    return Topic(f"chat-{room}")
