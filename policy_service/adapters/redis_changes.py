"""Processes of the service wake each other through Redis' publish and subscribe.

A message says only that there is something new; what, stands in the database. So a message that is
lost, or sent by somebody else, costs a look and nothing more.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from policy_service.adapters.redis_pool import redis_client

CHANNEL = "gatehouse:changes"
_CONNECT_TIMEOUT_S = 1.0
_COMMAND_TIMEOUT_S = 1.0
_MAX_CONNECTIONS = 4
_BACK_OFF_S = 1.0
_LISTEN_S = 30.0

_log = logging.getLogger(__name__)


class RedisWakes:
    """Implements `ports.Wakes`.

    Args:
        url: `redis://...`.
    """

    def __init__(self, url: str) -> None:
        self._redis = redis_client(
            url,
            slot_of=CHANNEL,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            command_timeout_s=_COMMAND_TIMEOUT_S,
            max_connections=_MAX_CONNECTIONS,
        )

    async def send(self) -> None:
        """Wake everybody; a failure is logged and no more."""
        try:
            await self._redis.publish(CHANNEL, b"look")
        except (RedisError, OSError) as fault:
            _log.warning("others were not woken: %s", type(fault).__name__)

    async def received(self) -> AsyncIterator[None]:
        """Each time that somebody sent; also once after each outage, for it may have hidden one."""
        while True:
            try:
                async with self._redis.pubsub() as listening:
                    await listening.subscribe(CHANNEL)
                    while True:
                        # Subscribing is told as a message too, and wakes.
                        told = await listening.get_message(timeout=_LISTEN_S)
                        if told is not None:
                            yield
            except (RedisError, OSError) as fault:
                _log.info("not listening to Redis for now: %s", type(fault).__name__)
                await asyncio.sleep(_BACK_OFF_S)

    async def close(self) -> None:
        """Let go of connections."""
        await self._redis.aclose()
