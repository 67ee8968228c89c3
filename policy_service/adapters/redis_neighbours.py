"""The `Neighbours` port on Redis' vector sets, which it has since version 8.

Source:
    https://redis.io/docs/latest/develop/data-types/vector-sets (checked 2026-11-20)
"""

import struct
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.redis_cache import TAG
from policy_service.adapters.redis_limits.faults import FOREIGN_ERRORS
from policy_service.adapters.redis_pool import redis_client

_COMMANDS = ("VADD", "VSIM", "VREM", "VCARD", "VRANDMEMBER")
_LOOKED_AT = 3
"""Some of the nearest may be names of answers that have been forgotten."""


class RedisNeighbours:
    """Implements `ports.Neighbours`.

    Args:
        redis: A URL, or a client of its own making (then `close` leaves it open). It must not
            decode responses.
        prefix: What every key begins with.
        most_names: In a group; beyond that, names drop out by chance.
        command_timeout_s: For a connection and for each answer.
    """

    def __init__(
        self,
        redis: Redis | str,
        *,
        prefix: str = "gatehouse",
        most_names: int = 10_000,
        command_timeout_s: float = 0.5,
    ) -> None:
        self._is_ours = isinstance(redis, str)
        self._redis = (
            redis_client(
                redis,
                slot_of=TAG,
                connect_timeout_s=command_timeout_s,
                command_timeout_s=command_timeout_s,
                max_connections=64,
            )
            if isinstance(redis, str)
            else redis
        )
        self._prefix = prefix
        self._most_names = most_names

    async def check(self) -> None:
        """Make sure that this Redis can do it.

        Raises:
            ValueError: It has no vector sets.
            PolicyUnavailable: It does not answer.
        """
        # Two words in one: the library reads the answer to `COMMAND` itself, and stumbles where a
        # command is not there.
        known: Any = await self._ask("COMMAND INFO", *_COMMANDS)
        if not all(known):
            raise ValueError(
                "the response cache's Redis has no vector sets, which POLICY_SEMANTIC_CACHE_MODEL "
                "needs: use Redis 8 or newer, or leave that setting out"
            )

    async def nearest(self, group: str, vector: Sequence[float]) -> Sequence[tuple[str, float]]:
        """See `Neighbours.nearest`."""
        found: Any = await self._ask(
            *("VSIM", self._key(group, vector), "FP32", _packed(vector)),
            *("WITHSCORES", "COUNT", _LOOKED_AT),
        )
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2])  # noqa: B905
        # Redis' score is 1 for the same direction and 0 for the opposite.
        near = [(name.decode(), 2 * float(score) - 1) for name, score in pairs]
        return sorted(near, key=lambda one: -one[1])

    async def add(self, group: str, name: str, vector: Sequence[float], ttl_s: int) -> None:
        """See `Neighbours.add`."""
        key = self._key(group, vector)
        await self._ask("VADD", key, "FP32", _packed(vector), name)
        await self._ask("EXPIRE", key, ttl_s)
        names: Any = await self._ask("VCARD", key)
        if int(names) > self._most_names:
            chosen: Any = await self._ask("VRANDMEMBER", key)
            await self._ask("VREM", key, chosen)

    async def forget(self, group: str, name: str, vector: Sequence[float]) -> None:
        """See `Neighbours.forget`."""
        await self._ask("VREM", self._key(group, vector), name)

    async def close(self) -> None:
        """Let go of connections."""
        if self._is_ours:
            await self._redis.aclose()

    async def _ask(self, *command: str | bytes | int) -> object:
        # Plain commands: the library's own for vector sets are marked as experimental.
        try:
            execute: Any = self._redis.execute_command  # which has no types
            answer: object = await execute(*command)
        except FOREIGN_ERRORS as error:
            raise PolicyUnavailable("The semantic cache does not answer.") from error
        return answer

    def _key(self, group: str, vector: Sequence[float]) -> str:
        # A set takes vectors of one length alone: another embedding model begins another set.
        return f"{self._prefix}:cache:{TAG}:near:{group}:{len(vector)}"


def _packed(vector: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)
