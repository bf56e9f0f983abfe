"""Callables that handle messages: how they are found, what they are given, and which handles what."""

from events_core.handlers.dependencies import Dependencies, Factory, Scope
from events_core.handlers.handler import Handler, handler_of, message_types_of
from events_core.handlers.listening import Listening, OnError, find_listeners, listen, listening_of

__all__ = [
    "Dependencies",
    "Factory",
    "Handler",
    "Listening",
    "OnError",
    "Scope",
    "find_listeners",
    "handler_of",
    "listen",
    "listening_of",
    "message_types_of",
]
