"""Answers that were given before."""

from collections.abc import Sequence
from typing import Protocol


class ResponseCache(Protocol):
    """Answers by the key of their question, and who is asking a provider for one just now.

    What is kept is personal data. It may be forgotten at any time. Every method raises
    `PolicyUnavailable` when the store is gone; who uses it goes on without.
    """

    async def get(self, key: str) -> bytes | None:
        """What is kept, as it was put."""
        ...

    async def put(self, key: str, value: bytes, ttl_s: int) -> None:
        """Keep `value` for `ttl_s` seconds, in place of what was there."""
        ...

    async def claim(self, key: str, holder: str, ttl_s: float) -> bool:
        """Say that `holder` is asking for this answer; false when somebody else is.

        The claim ends with `release`, or by itself after `ttl_s`.
        """
        ...

    async def release(self, key: str, holder: str) -> None:
        """End the claim of `holder`; nobody else's."""
        ...

    async def wait(self, key: str, timeout_s: float) -> bytes | None:
        """Wait until somebody's claim has ended, and give what is kept then.

        `None` as well when it has not ended after `timeout_s`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Neighbours(Protocol):
    """Names by vector, in groups; finds those that are near.

    Every method raises `PolicyUnavailable` when the store is gone.
    """

    async def nearest(self, group: str, vector: Sequence[float]) -> Sequence[tuple[str, float]]:
        """A few names and the cosine of their vectors with `vector`, the nearest first."""
        ...

    async def add(self, group: str, name: str, vector: Sequence[float], ttl_s: int) -> None:
        """Put a name into a group, which is forgotten `ttl_s` after the last was put there."""
        ...

    async def forget(self, group: str, name: str, vector: Sequence[float]) -> None:
        """Take a name out."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
