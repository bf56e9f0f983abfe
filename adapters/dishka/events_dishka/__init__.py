"""Handlers that get what a dishka container provides: `pip install "events-core[dishka]"`."""

from events_dishka.bus import RequestBus
from events_dishka.giving import inject, provided
from events_dishka.handlers import DishkaHandlers
from events_dishka.scope import RequestScope, current_container, handling_in

__all__ = [
    "DishkaHandlers",
    "RequestBus",
    "RequestScope",
    "current_container",
    "handling_in",
    "inject",
    "provided",
]
