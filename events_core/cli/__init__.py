"""The `events` command."""

from events_core.cli.dispatching import main

__all__ = ["main"]
