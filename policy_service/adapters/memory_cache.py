"""The `ResponseCache` port in this one process: the least recently used answers give way."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes
    until_s: float


@dataclass(frozen=True, slots=True)
class _Claim:
    holder: str
    until_s: float
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryCache:
    """Implements `ports.ResponseCache`; a restart forgets everything.

    Args:
        most_bytes: Of answers, all together. One that is longer than that is not kept.
        now_s: A clock that never goes back.
    """

    def __init__(self, most_bytes: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._now_s = now_s
        self._answers: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._claims: dict[str, _Claim] = {}

    async def get(self, key: str) -> bytes | None:
        """See `ResponseCache.get`."""
        kept = self._answers.get(key)
        if kept is None:
            return None
        if kept.until_s <= self._now_s():
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return kept.value

    async def put(self, key: str, value: bytes, ttl_s: int) -> None:
        """See `ResponseCache.put`."""
        self._forget(key)
        if len(value) > self._most_bytes:
            return
        self._answers[key] = _Kept(value, self._now_s() + ttl_s)
        self._bytes += len(value)
        while self._bytes > self._most_bytes:
            self._forget(next(iter(self._answers)))

    async def claim(self, key: str, holder: str, ttl_s: float) -> bool:
        """See `ResponseCache.claim`."""
        now_s = self._now_s()
        claim = self._claims.get(key)
        if claim is not None and claim.until_s > now_s:
            return False
        if claim is not None:
            claim.ended.set()
        self._claims[key] = _Claim(holder, now_s + ttl_s)
        return True

    async def release(self, key: str, holder: str) -> None:
        """See `ResponseCache.release`."""
        claim = self._claims.get(key)
        if claim is not None and claim.holder == holder:
            del self._claims[key]
            claim.ended.set()

    async def wait(self, key: str, timeout_s: float) -> bytes | None:
        """See `ResponseCache.wait`."""
        claim = self._claims.get(key)
        if claim is not None:
            left_s = min(timeout_s, claim.until_s - self._now_s())
            try:
                await asyncio.wait_for(claim.ended.wait(), max(left_s, 0))
            except TimeoutError:
                return None
        return await self.get(key)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _forget(self, key: str) -> None:
        kept = self._answers.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.value)
