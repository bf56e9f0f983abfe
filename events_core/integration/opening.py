"""Picks the transport by URL, through entry points: third parties add brokers without touching this library."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final, Unpack, cast

from events_core.errors import ConfigurationError, MissingExtra
from events_core.integration.bus import BusOptions, IntegrationEventBus
from events_core.ports import Transport

__all__ = ["open_bus"]

_GROUP: Final = "events_core.transports"


def open_bus(url: str, *, source: str, **options: Unpack[BusOptions]) -> IntegrationEventBus:
    """A bus for the broker that the URL names, as in `memory://`; nothing is connected yet.

    A package adds a scheme by an entry point of the group `events_core.transports`, a callable from URL to `Transport`.

    Raises:
        MissingExtra: the scheme is known, and its package is not installed.
        ConfigurationError: nobody knows the scheme.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    points = {point.name: point for point in entry_points(group=_GROUP)}
    if scheme not in points:
        # The URL may hold a password: the scheme alone is shown.
        known = ", ".join(f"{name}://" for name in sorted(points))
        raise ConfigurationError(f"no transport is installed for {scheme or 'a URL without scheme'}; there is {known}")
    point = points[scheme]
    try:
        transport = cast("Callable[[str], Transport]", point.load())
    except ImportError as error:
        # Our packages are called after their extra: events_rabbitmq comes with [rabbitmq].
        extra = point.module.removeprefix("events_")
        advice = (
            f"pip install 'events-core[{extra}]'" if extra != point.module else f"install what {point.module} needs"
        )
        raise MissingExtra(f"{scheme}:// needs a package that is not installed: {advice}") from error
    return IntegrationEventBus(transport(url), source=source, **options)
