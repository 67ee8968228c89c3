"""What teams used, by day and model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TeamUsed:
    """What a team used of one model within one span of time.

    Args:
        span: Index of the span among those asked about.
        model: As it was asked for.
        failed: Of the requests, those that ended with an error.
        cache_hits: Of the requests, those that the response cache answered.
        saved_usd: What these would have cost.
    """

    span: int
    department: str
    team: str
    model: str
    requests: int
    failed: int
    cache_hits: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    saved_usd: Decimal


class TeamUsage(Protocol):
    """Sums what teams used; `PolicyUnavailable` when the database is gone."""

    async def used(
        self, edges: Sequence[datetime], *, nodes: frozenset[str] | None
    ) -> tuple[TeamUsed, ...]:
        """Sums by span, department, team and model, in that order; empty ones are left out.

        Args:
            edges: UTC, rising, two at least; a span lies between each two neighbours, its end left
                out.
            nodes: Only what was used at or below these; `None` for all.
        """
        ...
