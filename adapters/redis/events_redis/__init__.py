"""Integration events over Redis: `pip install "events-core[redis]"`."""

from events_redis.bus import RedisEventBus, RedisPubSubEventBus
from events_redis.pubsub import RedisPubSubTransport
from events_redis.settings import RedisSettings
from events_redis.transport import RedisTransport

__all__ = [
    "RedisEventBus",
    "RedisPubSubEventBus",
    "RedisPubSubTransport",
    "RedisSettings",
    "RedisTransport",
    "from_url",
    "pubsub_from_url",
]


from_url = RedisTransport
"""For `redis://` and `rediss://`."""

pubsub_from_url = RedisPubSubTransport
"""For `redis+pubsub://` and `rediss+pubsub://`."""
