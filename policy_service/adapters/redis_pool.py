"""A client of Redis that gives up soon, tries nothing twice, and survives Redis' restart."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from policy_service.adapters.redis_kept import KeptRedis


def redis_client(
    url: str, *, connect_timeout_s: float, command_timeout_s: float, max_connections: int
) -> Redis:
    """Make a client with a pool of its own.

    Args:
        url: `redis://...`.
        connect_timeout_s: For each connection.
        command_timeout_s: For each command, and for a connection of the pool to be free.
        max_connections: At once.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=command_timeout_s,
        socket_connect_timeout=connect_timeout_s,
        socket_timeout=command_timeout_s,
        # A step whose answer was lost may have been done: who asked decides what then.
        retry=Retry(NoBackoff(), 0),
        # With them on, redis-py 8.1 does not look whether a waiting connection was closed, and each
        # one that was fails a call after Redis' restart.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return KeptRedis(pool)
