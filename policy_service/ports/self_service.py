"""What a caller may read about itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key, as its holder may see it: never its text."""

    id: str
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class UsedModel:
    """What was used of one model within one span of time.

    Args:
        span: Index of the span among those asked about.
        errors: Of the requests, those that ended with an error.
        cache_hits: Of the requests, those that the response cache answered.
    """

    span: int
    model: str
    requests: int
    errors: int
    cache_hits: int
    input_tokens: int
    output_tokens: int
    usd: Decimal


class OwnFigures(Protocol):
    """Looks a caller's own facts up; `PolicyUnavailable` when the database is gone."""

    async def time_zone(self, organisation: str) -> str:
        """Where the organisation's days and months begin; `UTC` when it is not known."""
        ...

    async def key(self, key_id: str) -> KeyFacts | None:
        """A key's facts; `None` when there is no such key."""
        ...

    async def used(self, node: str, edges: Sequence[datetime]) -> tuple[UsedModel, ...]:
        """What one caller used, by span and asked model.

        Args:
            node: `key:`, `user:`, `application:` or `project:` and an id.
            edges: UTC, rising; one span lies between each two neighbours, its end left out.

        Raises:
            ValueError: `node` is of no such kind, or there is no span.
        """
        ...
