"""The `ResponseCache` port on Redis: one cache for all processes.

Redis holds what models said, word for word, until it expires. Nothing of it goes into logs, the
ledger or an error.
"""

import asyncio
import time
from typing import Any

from redis.asyncio import Redis

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.redis_limits.faults import FOREIGN_ERRORS
from policy_service.adapters.redis_pool import redis_client

TAG = "{cache}"
"""In every key. In a cluster all kept answers lie on one node: each client speaks to one."""

_FIRST_LOOK_S = 0.02
_LONGEST_PAUSE_S = 0.25
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisCache:
    """Implements `ports.ResponseCache`.

    Unlike the limits' Redis this one may evict: `maxmemory-policy allkeys-lru` on a server of its
    own keeps a full cache from getting in the way of the limits.

    Args:
        redis: A URL, or a client of its own making (then `close` leaves it open). It must not
            decode responses.
        prefix: What every key begins with.
        command_timeout_s: For a connection and for each answer. Short: the caller is better served
            by a provider than by waiting for the cache.
        max_connections: Further calls wait for one to be free.
    """

    def __init__(
        self,
        redis: Redis | str,
        *,
        prefix: str = "gatehouse",
        command_timeout_s: float = 0.5,
        max_connections: int = 64,
    ) -> None:
        self._is_ours = isinstance(redis, str)
        if isinstance(redis, str):
            redis = redis_client(
                redis,
                slot_of=TAG,
                connect_timeout_s=command_timeout_s,
                command_timeout_s=command_timeout_s,
                max_connections=max_connections,
            )
        self._redis = redis
        self._release = self._redis.register_script(_RELEASE)
        self._prefix = prefix

    async def get(self, key: str) -> bytes | None:
        """See `ResponseCache.get`."""
        try:
            value: Any = await self._redis.get(self._answer(key))
        except FOREIGN_ERRORS as error:
            raise _away() from error
        return None if value is None else bytes(value)

    async def put(self, key: str, value: bytes, ttl_s: int) -> None:
        """See `ResponseCache.put`."""
        try:
            await self._redis.set(self._answer(key), value, ex=ttl_s)
        except FOREIGN_ERRORS as error:
            raise _away() from error

    async def claim(self, key: str, holder: str, ttl_s: float) -> bool:
        """See `ResponseCache.claim`."""
        try:
            set_ = await self._redis.set(
                self._claim(key), holder, nx=True, px=max(int(1000 * ttl_s), 1)
            )
        except FOREIGN_ERRORS as error:
            raise _away() from error
        return bool(set_)

    async def release(self, key: str, holder: str) -> None:
        """See `ResponseCache.release`."""
        try:
            await self._release(keys=[self._claim(key)], args=[holder])
        except FOREIGN_ERRORS as error:
            raise _away() from error

    async def wait(self, key: str, timeout_s: float) -> bytes | None:
        """See `ResponseCache.wait`; looks again and again, ever less often."""
        ends_s = time.monotonic() + timeout_s
        pause_s = _FIRST_LOOK_S
        while True:
            is_claimed, value = await self._look(key)
            if value is not None or not is_claimed:
                return value
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                return None
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(1.5 * pause_s, _LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Let go of connections."""
        if self._is_ours:
            await self._redis.aclose()

    async def _look(self, key: str) -> tuple[bool, bytes | None]:
        # The claim first: it is released after the answer was put, so where the claim is gone the
        # answer is there, if there is one.
        try:
            async with self._redis.pipeline(transaction=False) as both:
                both.exists(self._claim(key))
                both.get(self._answer(key))
                found: list[Any] = await both.execute()
        except FOREIGN_ERRORS as error:
            raise _away() from error
        return bool(found[0]), found[1]

    def _answer(self, key: str) -> str:
        return f"{self._prefix}:cache:{TAG}:{key}:answer"

    def _claim(self, key: str) -> str:
        return f"{self._prefix}:cache:{TAG}:{key}:claim"


def _away() -> PolicyUnavailable:
    return PolicyUnavailable("The response cache does not answer.")
