"""Requests that are carried out once, however often they are sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

KEPT_FOR = timedelta(hours=24)
"""For so long a request is remembered, and its answer."""


class Outcome(StrEnum):
    """What became of a request."""

    UNDER_WAY = "under_way"
    DONE = "done"
    """And here is its answer."""
    DONE_IN_SECRET = "done_in_secret"  # noqa: S105 - no password
    """Its answer must not be kept: it held a secret."""
    UNKNOWN = "unknown"
    """It failed on our side, and some of it may have been done."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that can be given again."""

    status: int
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """A request that came before.

    Args:
        digest: Of all that it asked for.
        at: When it came.
        answer: Where the outcome is `DONE`.
        location: Of what it made, if it said so.
    """

    digest: str
    at: datetime
    outcome: Outcome
    answer: KeptAnswer | None = None
    location: str | None = None


class Idempotency(Protocol):
    """Remembers requests by actor and key, over all processes.

    All raise `PolicyUnavailable` when the database fails.
    """

    async def claim(self, actor: str, key: str, digest: str, now: datetime) -> Remembered | None:
        """Begin a request; or be told of the one that came before, within `KEPT_FOR`.

        Of two at once one is `None`, and the other is told of it.
        """
        ...

    async def finish(
        self,
        actor: str,
        key: str,
        outcome: Outcome,
        answer: KeptAnswer | None = None,
        location: str | None = None,
    ) -> None:
        """Say what became of the request that was begun."""
        ...

    async def forget(self, actor: str, key: str) -> None:
        """Nothing was done: the next request with this key begins anew."""
        ...
