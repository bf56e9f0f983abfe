"""The embedded default: topics in the memory of this process."""

from events_core.errors import ConfigurationError
from events_core.memory.broker import InMemoryBroker
from events_core.memory.stores import InMemoryInbox, InMemoryOutboxStore
from events_core.memory.transport import InMemoryTransport

__all__ = ["InMemoryBroker", "InMemoryInbox", "InMemoryOutboxStore", "InMemoryTransport", "from_url"]


def from_url(url: str) -> InMemoryTransport:
    """A transport on a broker of its own, for `memory://`."""
    if url.partition("://")[2]:
        raise ConfigurationError("memory:// takes nothing after it: every in-memory bus has a broker of its own")
    return InMemoryTransport()
