"""Picks the store by URL, through entry points."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Final, cast

from events_core.errors import ConfigurationError, MissingExtra
from events_core.ports import OutboxStore

__all__ = ["open_store"]

_GROUP: Final = "events_core.outboxes"


def open_store(
    url: str, *, prefix: str = "events_", schema: str | None = None
) -> AbstractAsyncContextManager[OutboxStore]:
    """The outbox in the database that the URL names, to be used in `async with`; its tables begin with `prefix`.

    A package adds a scheme by an entry point of the group `events_core.outboxes`.

    Raises:
        MissingExtra: the scheme is known, and a package for it is not installed.
        ConfigurationError: nobody knows the scheme.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    points = {point.name: point for point in entry_points(group=_GROUP)}
    if scheme not in points:
        # The URL may hold a password: the scheme alone is shown.
        known = ", ".join(f"{name}://" for name in sorted(points))
        raise ConfigurationError(f"no outbox is known for {scheme or 'a URL without scheme'}; there is {known}")
    try:
        store = cast("Callable[..., AbstractAsyncContextManager[OutboxStore]]", points[scheme].load())
    except ImportError as error:
        extra = points[scheme].module.removeprefix("events_")
        raise MissingExtra(f"{scheme}:// needs a package: pip install 'events-core[{extra}]'") from error
    return store(url, prefix=prefix, schema=schema)
