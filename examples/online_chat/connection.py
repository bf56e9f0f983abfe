"""One page, connected: what it says goes to the room, what happens in the room goes to the page."""

import asyncio
import logging
from collections.abc import Coroutine

from fastapi import WebSocket, WebSocketDisconnect

from events_core import EventsError
from examples.online_chat.chat import Chat
from examples.online_chat.mailbox import Mailbox
from examples.online_chat.messages import NotUnderstood, Place, read, read_place
from examples.online_chat.person import Person

REFUSED = 1008  # WebSocket's code for what the server's rules do not allow
UNAVAILABLE = 1013  # for: try again later

_log = logging.getLogger("online_chat")


async def serve(socket: WebSocket, chat: Chat, *, name: str, room: str) -> None:
    """Be there for one page, until it goes or does not read any more."""
    await socket.accept()
    try:
        await _visit(socket, chat, read_place(name, room))
    except NotUnderstood as error:
        await _turn_away(socket, str(error), REFUSED)
    except (EventsError, TimeoutError) as error:
        _log.warning("nobody can join: %s", str(error) or "the broker does not answer")
        await _turn_away(socket, "The chat is out of order. Please try again later.", UNAVAILABLE)
    except WebSocketDisconnect:
        pass


async def _visit(socket: WebSocket, chat: Chat, place: Place) -> None:
    mailbox = Mailbox()
    person = Person(place.name, place.room, mailbox)
    person.tell({"type": "welcome", "person": person.id, "name": place.name, "room": place.room})
    await chat.join(person)
    try:
        await _until_first(_listen(socket, chat, person), _speak(socket, mailbox), mailbox.overflow())
    finally:
        await chat.leave(person)


async def _listen(socket: WebSocket, chat: Chat, person: Person) -> None:
    """One message after the other: who floods the room waits for the broker."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        try:
            asked = read(message.get("text") or message.get("bytes") or "")
            await chat.say(person, asked.say)
        except NotUnderstood as error:
            person.tell({"type": "error", "reason": str(error)})
        except EventsError as error:
            _log.warning("not sent: %s", error)
            person.tell({"type": "error", "reason": "This was not sent. Please try again."})


async def _speak(socket: WebSocket, mailbox: Mailbox) -> None:
    try:
        while True:
            await socket.send_text(await mailbox.take())
    except WebSocketDisconnect:
        return


async def _turn_away(socket: WebSocket, reason: str, code: int) -> None:
    try:
        await socket.send_json({"type": "error", "reason": reason})
        await socket.close(code)
    except (WebSocketDisconnect, RuntimeError):
        return  # it went by itself


async def _until_first(*works: Coroutine[None, None, None]) -> None:
    """Run all until one ends, however it ends, and end the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
