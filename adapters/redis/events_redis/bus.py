"""The buses on Redis."""

from typing import Unpack

from events_core import IntegrationEventBus
from events_core.integration import BusOptions
from events_redis.pubsub import RedisPubSubTransport
from events_redis.settings import RedisSettings
from events_redis.transport import RedisTransport

__all__ = ["RedisEventBus", "RedisPubSubEventBus"]


class RedisEventBus(IntegrationEventBus):
    """`RedisEventBus("redis://user:password@host/0", source="users-service", registrations=[...])`."""

    def __init__(
        self, url: str, *, source: str, settings: RedisSettings | None = None, **options: Unpack[BusOptions]
    ) -> None:
        super().__init__(RedisTransport(url, settings), source=source, **options)


class RedisPubSubEventBus(IntegrationEventBus):
    """The same for topics that nobody keeps: broadcast registrations only, and no promise that an event arrives."""

    def __init__(
        self, url: str, *, source: str, settings: RedisSettings | None = None, **options: Unpack[BusOptions]
    ) -> None:
        super().__init__(RedisPubSubTransport(url, settings), source=source, **options)
