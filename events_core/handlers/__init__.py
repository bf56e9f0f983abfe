"""Callables that handle messages: how they are found, what they are given, and which handles what."""

from events_core.handlers.dependencies import Dependencies, Factory, Scope
from events_core.handlers.handler import Handler, handler_of, message_types_of
from events_core.handlers.listening import Listening, OnError, find_listeners, listen

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
    "message_types_of",
]
