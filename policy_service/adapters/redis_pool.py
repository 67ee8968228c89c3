"""A client of Redis that gives up soon, tries nothing twice, and survives Redis' restart."""

from redis.asyncio import BlockingConnectionPool, Redis

from policy_service.adapters.redis_address import Sentinels, address_of
from policy_service.adapters.redis_following import (
    FollowingPool,
    once,
    primary_of,
    primary_of_slot,
)
from policy_service.adapters.redis_kept import KeptRedis


def redis_client(
    url: str,
    *,
    slot_of: str,
    connect_timeout_s: float,
    command_timeout_s: float,
    max_connections: int,
) -> Redis:
    """Make a client with a pool of its own.

    Args:
        url: `redis://...`, `redis+sentinel://...` or `redis+cluster://...` (`redis_address`).
        slot_of: A key, or just its hash tag. In a cluster the client speaks to the node that has
            this key's slot, so all keys that it is used for must lie in that slot.
        connect_timeout_s: For each connection, and to ask where the primary is.
        command_timeout_s: For each command, and for a connection of the pool to be free.
        max_connections: At once.

    Raises:
        ValueError: The address cannot be meant.
    """
    careful = once(connect_timeout_s=connect_timeout_s, command_timeout_s=command_timeout_s)
    waiting = {"max_connections": max_connections, "timeout": command_timeout_s}
    address = address_of(url)
    if address is None:
        return KeptRedis(BlockingConnectionPool.from_url(url, **waiting, **careful))
    if isinstance(address, Sentinels):
        find = primary_of(address, connect_timeout_s)
    else:
        find = primary_of_slot(address, slot_of, connect_timeout_s)
    pool = FollowingPool(
        find,
        is_role_checked=isinstance(address, Sentinels),
        is_tls=address.is_tls,
        **waiting,
        **{**address.options, **careful},
    )
    try:
        pool.make_connection()
    except TypeError:
        raise ValueError("an option after the question mark of Redis' address is unknown") from None
    return KeptRedis(pool, leads_there=pool.leads_there)
