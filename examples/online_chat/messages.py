"""What a page may ask for. Whatever else arrives is answered with an error, and the connection lives."""

from typing import Annotated, Final

import msgspec

from examples.online_chat.events import ROOM_NAME

LONGEST_TEXT: Final = 500
NOT_A_MESSAGE: Final = f'A message has 1 to {LONGEST_TEXT} characters, and is sent as {{"say": "..."}}.'
NOT_A_PLACE: Final = "A name has 1 to 30 characters; the name of a room 1 to 40 of a-z, 0-9 and the hyphen."

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=30)]
Room = Annotated[str, msgspec.Meta(pattern=ROOM_NAME)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_TEXT)]


class Place(msgspec.Struct, frozen=True):
    """Who wants to be in which room."""

    name: Name
    room: Room


class Say(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to be said in the room."""

    say: Text


class NotUnderstood(Exception):
    """It is not what a page may ask for; the message says why, to people."""


def read_place(name: str, room: str) -> Place:
    try:
        return msgspec.convert({"name": " ".join(name.split()), "room": room.strip().lower()}, Place)
    except msgspec.ValidationError:
        raise NotUnderstood(NOT_A_PLACE) from None


def read(frame: str | bytes) -> Say:
    """What a frame asks for."""
    try:
        asked = msgspec.json.decode(frame, type=Say)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotUnderstood(NOT_A_MESSAGE) from None
    if not asked.say.strip():
        raise NotUnderstood(NOT_A_MESSAGE)
    return asked
